import type { RegistryConfiguration, ServiceNote } from '@tsc/registry';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, failed } from '../errors.ts';
import { list, text, toggle, value } from '../flags/flag.ts';
import type { FlagValues } from '../flags/flag.ts';
import { oneLine } from '../failure.ts';
import { note, print } from '../output.ts';
import { readServed } from '../registry/served.ts';
import { abortOnSignal } from '../terminal/signals.ts';

const flags = {
  anonymous: toggle('Let everybody pull, with or without an account'),
  config: text('Read a YAML file; flags go before what it says', { shownDefault: 'none', valueName: 'file' }),
  delete: toggle('Let clients delete tags, manifests and blobs', { initial: true }),
  htpasswd: text('Accounts: a file as "htpasswd -B" writes it', { valueName: 'file' }),
  listen: text('Address and port', { shownDefault: '127.0.0.1:5000', valueName: 'address' }),
  log: value('How requests are written to standard output: text, json or off', parseLog, { shownDefault: 'text' }),
  'plain-http': toggle('Serve others than this machine without TLS'),
  'read-only': toggle('Refuse everything that changes something'),
  root: text('Directory in which everything is kept', { valueName: 'dir' }),
  'tls-cert': text('Certificate, with those between it and its root (PEM)', { valueName: 'file' }),
  'tls-key': text('Key of the certificate (PEM)', { valueName: 'file' }),
  upstream: list(
    'Cache another registry, below the prefix (docker.io, hub=docker.io)',
    { valueName: '[prefix=]host' },
    parseUpstream,
  ),
};

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Serve a registry',
  flags,
  least: 0,
  most: 0,
  unprivileged: true,
  run: async ({ values, given }) => {
    const { runRegistry } = await import('@tsc/registry');
    const configuration = await configurationOf(values, given);
    using abort = abortOnSignal();
    await using server = await runRegistry(configuration, { writeLog: print, onNote: tell });
    note(`registry: serving ${server.url}`);
    await new Promise<void>((resolve) => {
      if (abort.signal.aborted) resolve();
      // Until a signal comes, it is the server that keeps the process alive.
      abort.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    note('registry: ending: requests that are under way have ten seconds');
    return 0;
  },
});

function parseLog(word: string): 'json' | 'text' | 'off' {
  if (word === 'json' || word === 'text' || word === 'off') return word;
  throw badValue(`"${word}" is not text, json or off`);
}

function parseUpstream(word: string): { readonly prefix: string; readonly registry: string } {
  const equals = word.indexOf('=');
  const registry = word.slice(equals + 1);
  const prefix = equals < 0 ? registry.replace(/:\d+$/, '') : word.slice(0, equals);
  if (registry === '') throw badValue(`"${word}" names no registry`);
  return { prefix, registry };
}

type Values = FlagValues<typeof flags>;

/** What the file says, and then what the flags say. */
async function configurationOf(values: Values, given: ReadonlySet<string>): Promise<RegistryConfiguration> {
  const { checkConfiguration } = await import('@tsc/registry');
  const file = await readServed(values);
  const { 'tls-cert': certFile, 'tls-key': keyFile, htpasswd, log, listen } = values;
  if ((certFile === undefined) !== (keyFile === undefined)) throw failed('--tls-cert and --tls-key go together');
  const access = {
    ...file.access,
    ...(htpasswd === undefined ? {} : { accounts: { htpasswdFile: htpasswd } }),
    ...(values.anonymous ? { anonymous: ['pull'] } : {}),
  };
  return checkConfiguration({
    ...file,
    log: log ?? file.log ?? 'text',
    ...(listen === undefined ? {} : { listen }),
    ...(Object.keys(access).length === 0 ? {} : { access }),
    ...(certFile === undefined ? {} : { tls: { ...file.tls, certFile, keyFile } }),
    ...(given.has('plain-http') ? { plainHttp: values['plain-http'] } : {}),
    ...(given.has('read-only') ? { readOnly: values['read-only'] } : {}),
    ...(given.has('delete') ? { deletable: values.delete } : {}),
    ...(values.upstream.length === 0 ? {} : { upstreams: [...(file.upstreams ?? []), ...values.upstream] }),
  });
}

/** What goes wrong beside requests is for who reads the terminal, or the journal. */
function tell({ type, subject, detail }: ServiceNote): void {
  if (type === 'report') return;
  note(`registry: ${subject}: ${oneLine(Error.isError(detail) ? detail.message : String(detail))}`);
}
