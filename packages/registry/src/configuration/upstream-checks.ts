import type { Credential, RegistryHost, RegistryMirror } from '@tsc/image';

import { anyText, atLeast, fieldsOf, flag, listOf, mapOf, oneOf, refuse, text } from '../option-checks.ts';
import type { Check } from '../option-checks.ts';
import type { Mirror, Upstream, UpstreamRegistry } from '../upstream/options.ts';

/** A user with a password, or one of the two kinds of tokens. */
const credential: Check<Credential> = (value, option) => {
  const fields = fieldsOf<Partial<Record<'username' | 'password' | 'identityToken' | 'registryToken', string>>>(
    { username: text, password: text, identityToken: text, registryToken: text },
    ['username', 'password', 'identityToken', 'registryToken'],
  )(value, option);
  const { username, password, identityToken, registryToken } = fields;
  if (username !== undefined && password !== undefined) return { username, password };
  if (identityToken !== undefined) return { identityToken };
  if (registryToken !== undefined) return { registryToken };
  return refuse(option, 'username and password, identityToken or registryToken', Object.keys(fields));
};

const mirrorHost = fieldsOf<RegistryMirror>({ url: text, capabilities: listOf(oneOf('pull', 'resolve')) }, [
  'capabilities',
]);

const host = fieldsOf<RegistryHost>(
  {
    mirrors: listOf(mirrorHost),
    plainHttp: flag,
    insecure: flag,
    ca: text,
    clientCertificate: text,
    clientKey: text,
    headers: mapOf(anyText),
    tokenHosts: listOf(text),
  },
  ['mirrors', 'plainHttp', 'insecure', 'ca', 'clientCertificate', 'clientKey', 'headers', 'tokenHosts'],
);

const registryChecks = {
  registry: text,
  credential,
  host,
  proxy: fieldsOf({ http: text, https: text, no: text }, ['http', 'https', 'no']),
};
const registryOptional = ['credential', 'host', 'proxy'] as const;

export const upstream: Check<Upstream> = fieldsOf<Upstream>(
  {
    ...registryChecks,
    prefix: anyText,
    remotePrefix: text,
    namespace: text,
    allow: listOf(text),
    deny: listOf(text),
    tagTtlMs: atLeast(0),
    absentTtlMs: atLeast(0),
    answerTimeoutMs: atLeast(1),
    awayMs: atLeast(0),
    abandoned: oneOf('finish', 'finish-half', 'stop'),
  },
  [
    ...registryOptional,
    ...(['remotePrefix', 'namespace', 'allow', 'deny', 'tagTtlMs', 'absentTtlMs', 'answerTimeoutMs'] as const),
    ...(['awayMs', 'abandoned'] as const),
  ],
);

export const mirror: Check<Mirror> = fieldsOf<Mirror>(
  {
    upstream: fieldsOf<UpstreamRegistry>(registryChecks, registryOptional),
    repository: text,
    to: text,
    tags: listOf(text),
    platforms: listOf(text),
    referrers: flag,
    deleteExtra: flag,
  },
  ['tags', 'platforms', 'referrers', 'deleteExtra'],
);
