import type { Credential } from './credentials.ts';

/** A line of `auths`, which somebody may have written by hand. */
export type AuthEntry = Readonly<Record<string, unknown>>;

const text = (entry: AuthEntry, key: string): string => {
  const value = Object.hasOwn(entry, key) ? entry[key] : undefined;
  return typeof value === 'string' ? value : '';
};

/** `dXNlcjpwYXNz` is `user:pass`; Docker pads passwords with NULs. */
const decodeAuth = (auth: string): { readonly username: string; readonly password: string } | undefined => {
  const decoded = Buffer.from(auth, 'base64').toString();
  const colon = decoded.indexOf(':');
  if (colon < 0) return undefined;
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, '') };
};

/** The credential in an entry; `undefined` in the empty one that says that a helper has it. */
export const readEntry = (entry: AuthEntry): Credential | undefined => {
  const [identityToken, registryToken] = [text(entry, 'identitytoken'), text(entry, 'registrytoken')];
  if (identityToken !== '') return { identityToken };
  if (registryToken !== '') return { registryToken };
  const auth = text(entry, 'auth');
  const { username, password } = (auth === '' ? undefined : decodeAuth(auth)) ?? {
    username: text(entry, 'username'),
    password: text(entry, 'password'),
  };
  return username === '' && password === '' ? undefined : { username, password };
};

export const writeEntry = (credential: Credential): AuthEntry => {
  if ('identityToken' in credential) return { identitytoken: credential.identityToken };
  if ('registryToken' in credential) return { registrytoken: credential.registryToken };
  return { auth: Buffer.from(`${credential.username}:${credential.password}`).toString('base64') };
};
