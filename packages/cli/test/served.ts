import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { makeAuthority, makeCertificate } from '../../image/test/certificates.ts';
import { program } from './cli.ts';

/** One line of `log: json`. */
export interface LoggedRequest {
  readonly account?: string;
  readonly method: string;
  readonly route?: string;
  readonly repository?: string;
  readonly status: number;
}

/** `tsc registry serve`, with the accounts that a test wants, and TLS. */
export interface Served extends AsyncDisposable {
  readonly domain: string;
  /** The authority that vouches for it, in PEM, and a directory that has nothing else. */
  readonly caFile: string;
  readonly caDir: string;
  /** What it has answered so far. */
  readonly requests: readonly LoggedRequest[];
  /** Ends it as an operator does. @returns its exit code */
  stop(): Promise<number | null>;
}

export interface Account {
  readonly name: string;
  readonly password: string;
}

/** Serves a registry by a file in `dir`, which has everything that the registry needs too. */
export async function startServed(dir: string, accounts: readonly Account[], rules: string): Promise<Served> {
  const caDir = join(dir, 'authority');
  mkdirSync(caDir, { recursive: true });
  const authority = makeAuthority(dir);
  makeCertificate(dir, authority);
  writeFileSync(join(caDir, 'ca.crt'), authority.cert);
  const htpasswd = accounts.map(({ name, password }) =>
    execFileSync('htpasswd', ['-nbB', name, password]).toString().trim(),
  );
  writeFileSync(join(dir, 'accounts'), `${htpasswd.join('\n')}\n`);
  const file = join(dir, 'registry.yaml');
  const head = 'listen: 127.0.0.1:0\nstorage: { rootDir: root }\ntls: { certFile: server.crt, keyFile: server.key }\n';
  writeFileSync(file, `${head}access:\n  accounts: { htpasswdFile: accounts }\n  tokens: {}\n${rules}log: json\n`);
  const child = spawn(program, ['registry', 'serve', '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  const requests: LoggedRequest[] = [];
  createInterface(child.stdout).on('line', (line) => requests.push(JSON.parse(line) as LoggedRequest));
  let said = '';
  for await (const line of createInterface(child.stderr)) {
    said += `${line}\n`;
    if (line.startsWith('registry: serving')) break;
  }
  const [, domain] = /serving https:\/\/(\S+)/.exec(said) ?? [];
  if (domain === undefined) throw new Error(`tsc registry serve: ${said}`);
  const stop = async (): Promise<number | null> => {
    child.kill('SIGTERM');
    return (await ended)[0];
  };
  return {
    ...{ domain, caDir, requests, stop },
    caFile: join(caDir, 'ca.crt'),
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}
