import { RegistryConfigError } from '../errors.ts';
import {
  anyText,
  atLeast,
  fieldsOf,
  flag,
  listOf,
  mapOf,
  oneOf,
  refuse,
  safeUrl,
  text,
  token,
} from '../option-checks.ts';
import type { Check } from '../option-checks.ts';
import type {
  AccessOptions,
  AccessRule,
  AccountOptions,
  ClientCertificateOptions,
  DelegatedTokenOptions,
  OidcOptions,
  TokenOptions,
} from './options.ts';

const action = oneOf('pull', 'push', 'delete');

const rule: Check<AccessRule> = (value, option) => {
  const fields = fieldsOf<AccessRule>(
    {
      repositories: listOf(text),
      accounts: listOf(text),
      groups: listOf(text),
      anonymous: flag,
      actions: listOf(action),
    },
    ['accounts', 'groups', 'anonymous'],
  )(value, option);
  const { repositories, accounts = [], groups = [], anonymous = false, actions } = fields;
  if (repositories.length === 0) refuse(`${option}.repositories`, 'at least one', repositories);
  if (actions.length === 0) refuse(`${option}.actions`, 'at least one of pull, push and delete', actions);
  if (accounts.length + groups.length === 0 && !anonymous) refuse(option, 'accounts, groups or anonymous', value);
  return fields;
};

/** A realm is given to clients as it is, and they decide whether they trust it; plain HTTP is for who says so. */
const realm: Check<string> = (value, option) => {
  const url = URL.parse(token(value, option));
  return url !== null && ['http:', 'https:'].includes(url.protocol) ? url.href : refuse(option, 'a URL', value);
};

const tokens = fieldsOf<TokenOptions>(
  {
    service: token,
    issuer: token,
    keyFile: text,
    realm,
    lifetimeSeconds: atLeast(60),
    refreshLifetimeSeconds: atLeast(60),
  },
  ['service', 'issuer', 'keyFile', 'realm', 'lifetimeSeconds', 'refreshLifetimeSeconds'],
);

const oidc = fieldsOf<OidcOptions>(
  {
    issuer: safeUrl,
    audience: text,
    claims: mapOf(listOf(text)),
    accountClaim: text,
    prefix: anyText,
    groupsClaim: text,
    clockSkewSeconds: atLeast(0),
  },
  ['accountClaim', 'prefix', 'groupsClaim', 'clockSkewSeconds'],
);

const access = fieldsOf<AccessOptions>(
  {
    accounts: fieldsOf<AccountOptions>({ htpasswdFile: text }, []),
    tokens,
    delegatedTokens: fieldsOf<DelegatedTokenOptions>({ realm, service: token, issuer: text, publicKeysFile: text }, []),
    oidc: listOf(oidc),
    clientCertificates: fieldsOf<ClientCertificateOptions>(
      { account: oneOf('cn', 'dns', 'email', 'uri'), prefix: anyText },
      ['account', 'prefix'],
    ),
    groups: mapOf(listOf(text)),
    rules: listOf(rule),
    anonymous: listOf(action),
  },
  ['accounts', 'tokens', 'delegatedTokens', 'oidc', 'clientCertificates', 'groups', 'rules', 'anonymous'],
);

/**
 * Checks access options, whatever they were made of.
 *
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`: names the option, and says what it must be
 */
export function checkAccessOptions(value: unknown): AccessOptions {
  const options = access(value, 'access');
  const { delegatedTokens, oidc: issuers = [] } = options;
  const others = Object.keys(options).filter((key) => key !== 'delegatedTokens');
  if (delegatedTokens !== undefined && others.length > 0) {
    clash(`access.${others[0] ?? ''}`, 'access.delegatedTokens leaves everything to another token server');
  }
  const twice = issuers.find(({ issuer }, index) => issuers.findIndex((other) => other.issuer === issuer) < index);
  if (twice !== undefined) clash('access.oidc', `${twice.issuer} is there twice`);
  const { accounts, clientCertificates, tokens: server, anonymous = [], rules = [] } = options;
  const open = anonymous.length > 0 || rules.some((entry) => entry.anonymous === true);
  const withPassword = accounts ?? issuers[0];
  const somebody = withPassword ?? clientCertificates ?? delegatedTokens;
  if (somebody === undefined && server !== undefined) {
    clash('access.tokens', 'nobody could get a token: add accounts, oidc or clientCertificates');
  }
  if (somebody === undefined && !open) {
    clash('access', 'nobody is let in: add accounts, oidc, clientCertificates or anonymous');
  }
  if (open && withPassword !== undefined && server === undefined) {
    // Clients send a password when /v2/ turns them away, and never without one: only a token can be had by both.
    clash('access.anonymous', 'clients with and without password need tokens to be told apart: add access.tokens: {}');
  }
  return options;
}

function clash(option: string, why: string): never {
  throw new RegistryConfigError('CONFIG_INVALID', `${option}: ${why}`, { option });
}
