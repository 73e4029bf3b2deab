import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

import { ImageError, quote } from '../errors.ts';
import { readEntry, writeEntry, type AuthEntry } from './credential-entry.ts';
import { helperErase, helperGet, helperStore, type HelperOptions } from './credential-helper.ts';
import { keyFor, keysOfHost, matchingKeys } from './credential-keys.ts';
import type { Credential, CredentialQuery, CredentialSource } from './credentials.ts';

export interface CredentialFileOptions {
  /** Other files, read when the first has no credential; they are never written. */
  readonly fallbackPaths?: readonly string[] | undefined;
  /**
   * Absolute directories in which `docker-credential-…` programs are looked for.
   * Default: `/usr/local/bin`, `/usr/bin`, `/bin`.
   */
  readonly helperDirs?: readonly string[] | undefined;
  /** How long such a program may take, for it may ask for a password itself. Default: 60,000. */
  readonly helperTimeoutMs?: number | undefined;
}

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** `~/.docker/config.json`, or the `auth.json` of podman and skopeo. */
export interface CredentialFile extends CredentialSource {
  readonly path: string;
  /**
   * Keeps a credential: in the credential helper that the file names for the host, else in the file, with mode 0600.
   * Resolves to the helper's name; `undefined` says that the credential is in the file, where whoever reads it can use it.
   *
   * @throws {@link ImageError} `CREDENTIALS_FAILED`
   */
  store(domain: string, credential: Credential, options?: CallOptions): Promise<string | undefined>;
  /** Forgets what {@link store} has kept; `false` if there was nothing. @throws as `store` */
  erase(domain: string, options?: CallOptions): Promise<boolean>;
}

const HELPER_DIRS = ['/usr/local/bin', '/usr/bin', '/bin'];
const HELPER_MAX_MS = 60_000;
const FILE_MAX_BYTES = 4 * 1024 ** 2;

type JsonObject = Readonly<Record<string, unknown>>;

const failed = (path: string, why: string): ImageError =>
  new ImageError('CREDENTIALS_FAILED', `cannot use credentials in ${quote(path)}: ${why}`, { path });

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const codeOf = (error: unknown): string => (error as { readonly code?: string }).code ?? 'unknown error';

/** All that is in the file; nothing if it isn't there. No message quotes it. */
const readConfig = (path: string): JsonObject => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return {};
    throw failed(path, codeOf(error));
  }
  if (text.length > FILE_MAX_BYTES) throw failed(path, `larger than ${String(FILE_MAX_BYTES)} bytes`);
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw failed(path, 'not JSON');
  }
  if (isObject(value)) return value;
  throw failed(path, 'want an object');
};

const section = (path: string, config: JsonObject, key: string): JsonObject => {
  const value = Object.hasOwn(config, key) ? (config[key] ?? {}) : {};
  if (isObject(value)) return value;
  throw failed(path, `${key}: want an object`);
};

const entryOf = (path: string, auths: JsonObject, key: string): AuthEntry => {
  const entry = Object.hasOwn(auths, key) ? (auths[key] ?? {}) : {};
  if (isObject(entry)) return entry;
  throw failed(path, `auths: ${quote(key)}: want an object`);
};

/** The helper that keeps a host's credentials, if one does. An empty name takes the host off the default one. */
const helperOf = (path: string, config: JsonObject, domain: string): string | undefined => {
  const helpers = section(path, config, 'credHelpers');
  const [key] = keysOfHost(Object.keys(helpers), domain);
  const name = key === undefined ? config['credsStore'] : helpers[key];
  if (name === undefined || name === null || name === '') return undefined;
  if (typeof name !== 'string')
    throw failed(path, key === undefined ? 'credsStore: want a name' : 'credHelpers: want names');
  return name;
};

/** Follows links to the file, so that one kept elsewhere stays there; the new one is there whole or not at all. */
const writeConfig = (path: string, config: JsonObject): void => {
  const temporary = (target: string): string => `${target}.${randomUUID()}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const target = realPath(path);
    const file = temporary(target);
    try {
      const fd = openSync(file, 'wx', 0o600);
      try {
        writeSync(fd, `${JSON.stringify(config, null, '\t')}\n`);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(file, target);
    } catch (error) {
      rmSync(file, { force: true });
      throw error;
    }
  } catch (error) {
    throw failed(path, `it cannot be written: ${codeOf(error)}`);
  }
};

const realPath = (path: string): string => {
  try {
    return realpathSync(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return path;
    throw error;
  }
};

class DockerConfigFile implements CredentialFile {
  readonly path: string;
  readonly #fallbackPaths: readonly string[];
  readonly #helpers: Omit<HelperOptions, 'signal'>;

  constructor(path: string, options: CredentialFileOptions) {
    this.path = path;
    this.#fallbackPaths = options.fallbackPaths ?? [];
    this.#helpers = { dirs: options.helperDirs ?? HELPER_DIRS, timeoutMs: options.helperTimeoutMs ?? HELPER_MAX_MS };
  }

  async credentialFor(domain: string, query: CredentialQuery = {}): Promise<Credential | undefined> {
    query.signal?.throwIfAborted();
    for (const path of [this.path, ...this.#fallbackPaths]) {
      const found = await this.#find(path, domain, query);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async store(domain: string, credential: Credential, { signal }: CallOptions = {}): Promise<string | undefined> {
    const before = readConfig(this.path);
    const [key, helper] = [keyFor(domain), helperOf(this.path, before, domain)];
    if (helper !== undefined) await helperStore(helper, { serverUrl: key, credential }, { ...this.#helpers, signal });
    // The helper may have taken its time; what others have written meanwhile stays.
    const config = readConfig(this.path);
    const auths = withoutHost(section(this.path, config, 'auths'), domain);
    const entry = helper === undefined ? writeEntry(credential) : {};
    writeConfig(this.path, { ...config, auths: { ...auths, [key]: entry } });
    return helper;
  }

  async erase(domain: string, { signal }: CallOptions = {}): Promise<boolean> {
    const helper = helperOf(this.path, readConfig(this.path), domain);
    const options = { ...this.#helpers, signal };
    const hadHelper = helper !== undefined && (await helperErase(helper, keyFor(domain), options));
    const config = readConfig(this.path);
    const auths = section(this.path, config, 'auths');
    const left = withoutHost(auths, domain);
    const hadEntry = Object.keys(left).length < Object.keys(auths).length;
    if (hadEntry) writeConfig(this.path, { ...config, auths: left });
    return hadHelper || hadEntry;
  }

  /** The closest entry first; a helper that is named is asked before the file's own entry of the host. */
  async #find(path: string, domain: string, query: CredentialQuery): Promise<Credential | undefined> {
    const config = readConfig(path);
    const auths = section(path, config, 'auths');
    const keys = matchingKeys(Object.keys(auths), domain, query.path);
    const ofHost = new Set(keysOfHost(keys, domain));
    const read = (among: readonly string[]): Credential | undefined =>
      among.map((key) => readEntry(entryOf(path, auths, key))).find((found) => found !== undefined);
    const closer = read(keys.filter((key) => !ofHost.has(key)));
    if (closer !== undefined) return closer;
    const helper = helperOf(path, config, domain);
    const options = { ...this.#helpers, signal: query.signal };
    const kept = helper === undefined ? undefined : await helperGet(helper, keyFor(domain), options);
    return kept ?? read([...ofHost]);
  }
}

const withoutHost = (auths: JsonObject, domain: string): JsonObject => {
  const gone = new Set(keysOfHost(Object.keys(auths), domain));
  return Object.fromEntries(Object.entries(auths).filter(([key]) => !gone.has(key)));
};

/**
 * The credentials in Docker's or podman's file, and in the credential helpers that it names.
 *
 * Nothing is read until a credential is asked for, and then anew each time; a file that is not there has none. Helpers
 * inherit this process's environment, in which keyrings are found.
 */
export const openCredentialFile = (path: string, options: CredentialFileOptions = {}): CredentialFile =>
  new DockerConfigFile(path, options);
