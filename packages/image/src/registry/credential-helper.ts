import { spawn } from 'node:child_process';
import { statSync, type Stats } from 'node:fs';
import { isAbsolute, join } from 'node:path';

import { asString, member, parseDocument, requiredMember } from '../document.ts';
import { ImageError, isImageError, quote } from '../errors.ts';
import type { Credential } from './credentials.ts';

export interface HelperOptions {
  /** Absolute directories in which programs are looked for, in this order. */
  readonly dirs: readonly string[];
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const OUTPUT_MAX_BYTES = 64 * 1024;
/** By which a helper says that the secret is an identity token. */
const TOKEN_USER = '<token>';
/** Helpers have no other way to say it than in these words. */
const NOT_FOUND = /credentials not found|no usernames? for|not found in native keychain/i;

const failed = (program: string, why: string): ImageError =>
  new ImageError('CREDENTIALS_FAILED', `credential helper ${program}: ${why}`, { path: program });

const isSafe = ({ uid, mode }: Stats): boolean =>
  (mode & 0o002) === 0 && (uid === 0 || process.getuid === undefined || uid === process.getuid());

const statOf = (path: string): Stats | undefined => statSync(path, { throwIfNoEntry: false });

/**
 * The program's file. It runs with all that we may do, so it must be root's or our own, in a directory that not everybody
 * can write to.
 */
const findProgram = (name: string, dirs: readonly string[]): string => {
  if (!NAME.test(name)) throw failed(quote(name), 'this is no name of a helper');
  const program = `docker-credential-${name}`;
  for (const dir of dirs) {
    if (!isAbsolute(dir)) continue;
    const file = join(dir, program);
    const stats = statOf(file);
    if (stats?.isFile() !== true || (stats.mode & 0o111) === 0) continue;
    const parent = statOf(dir);
    if (parent === undefined || !isSafe(stats) || !isSafe(parent))
      throw failed(program, `${quote(file)} or its directory is somebody else's, or everybody can write to it`);
    return file;
  }
  throw failed(program, `not found in ${dirs.length === 0 ? 'any directory: none is configured' : dirs.join(', ')}`);
};

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

interface Call {
  readonly file: string;
  readonly verb: 'get' | 'store' | 'erase';
  readonly input: string;
}

const run = async ({ file, verb, input }: Call, { timeoutMs, signal }: HelperOptions): Promise<Ran> => {
  signal?.throwIfAborted();
  const inTime = AbortSignal.timeout(timeoutMs);
  const child = spawn(file, [verb], {
    stdio: ['pipe', 'pipe', 'ignore'],
    cwd: '/',
    killSignal: 'SIGKILL',
    signal: signal === undefined ? inTime : AbortSignal.any([signal, inTime]),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Ran>();
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= OUTPUT_MAX_BYTES) chunks.push(chunk);
    else child.kill('SIGKILL');
  });
  // A helper that doesn't read its input has failed in a way that its exit code tells.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  child.once('error', reject);
  child.once('close', (code) => resolve({ code, output: Buffer.concat(chunks).toString().trim() }));
  try {
    return await promise;
  } catch (error) {
    signal?.throwIfAborted();
    const { code } = error as { readonly code?: string };
    const why = inTime.aborted
      ? `no answer in ${String(timeoutMs / 1000)} seconds`
      : `it cannot be run (${String(code)})`;
    throw failed(file, `${verb}: ${why}`);
  }
};

/** The words of a helper that failed, which go to people. */
const complaint = ({ code, output }: Ran): string =>
  `exited with ${String(code)}${output === '' ? '' : `: ${quote(output)}`}`;

/** The credential that a helper keeps for a server, or `undefined`. @throws {@link ImageError} `CREDENTIALS_FAILED` */
export const helperGet = async (
  name: string,
  serverUrl: string,
  options: HelperOptions,
): Promise<Credential | undefined> => {
  const file = findProgram(name, options.dirs);
  const ran = await run({ file, verb: 'get', input: serverUrl }, options);
  if (ran.code !== 0) {
    if (NOT_FOUND.test(ran.output)) return undefined;
    throw failed(file, `get: ${complaint(ran)}`);
  }
  try {
    const node = parseDocument(Buffer.from(ran.output), 'answer');
    const username = member(node, 'Username');
    const secret = asString(requiredMember(node, 'Secret'));
    const user = username === undefined ? '' : asString(username);
    if (secret === '') return undefined;
    return user === TOKEN_USER ? { identityToken: secret } : { username: user, password: secret };
  } catch (error) {
    // The reason is not shown: it may quote the secret.
    if (isImageError(error)) throw failed(file, 'get: it answered something else than Username and Secret in JSON');
    throw error;
  }
};

/** @throws {@link ImageError} `CREDENTIALS_FAILED`, also for a registry token, which helpers can't keep */
export const helperStore = async (
  name: string,
  entry: { readonly serverUrl: string; readonly credential: Credential },
  options: HelperOptions,
): Promise<void> => {
  const file = findProgram(name, options.dirs);
  const { credential, serverUrl } = entry;
  if ('registryToken' in credential) throw failed(file, 'store: it can keep a password or identity token only');
  const [Username, Secret] =
    'identityToken' in credential ? [TOKEN_USER, credential.identityToken] : [credential.username, credential.password];
  const input = JSON.stringify({ ServerURL: serverUrl, Username, Secret });
  const ran = await run({ file, verb: 'store', input }, options);
  if (ran.code !== 0) throw failed(file, `store: ${complaint({ ...ran, output: ran.output.replaceAll(Secret, '…') })}`);
};

/** Whether there was one. @throws {@link ImageError} `CREDENTIALS_FAILED` */
export const helperErase = async (name: string, serverUrl: string, options: HelperOptions): Promise<boolean> => {
  const file = findProgram(name, options.dirs);
  const ran = await run({ file, verb: 'erase', input: serverUrl }, options);
  if (ran.code === 0) return true;
  if (NOT_FOUND.test(ran.output)) return false;
  throw failed(file, `erase: ${complaint(ran)}`);
};
