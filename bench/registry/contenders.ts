import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { findProgram } from '../command.ts';

/** A registry in a process of its own, with a directory of its own. */
export interface Server extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  /** Removes what was pushed to a repository, by the hexadecimal digits of its blobs. */
  forget(repository: string, blobs: readonly string[]): void;
}

interface Layout {
  readonly blob: (hex: string) => string;
  readonly repository: (name: string) => string;
}

async function start(name: string, command: readonly string[], layout: Layout): Promise<Server> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.on('error', () => undefined); // shows as an end without a line
  const port = await listeningPort(child);
  return {
    name,
    pid: child.pid ?? 0,
    port,
    forget: (repository, blobs) => {
      for (const hex of blobs) rmSync(layout.blob(hex), { recursive: true, force: true });
      rmSync(layout.repository(repository), { recursive: true, force: true });
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** The port is 0 in all configurations, and said in the first lines. */
async function listeningPort({ stdout, stderr }: ChildProcess): Promise<number> {
  if (stdout === null || stderr === null) throw new Error('no output to read');
  const seen: string[] = [];
  const read = async (stream: NodeJS.ReadableStream): Promise<number> => {
    for await (const line of createInterface({ input: stream })) {
      const port = /(?:listening on|http:\/\/)\D*127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) return Number(port);
      seen.push(line);
    }
    throw new Error(`the registry did not start:\n${seen.join('\n')}`);
  };
  const port = await Promise.any([read(stdout), read(stderr)]);
  stdout.resume();
  stderr.resume();
  return port;
}

/** Ours, as `serveRegistry` serves it, with V8's young generation kept small, as the command line does. */
export async function startOurs(dir: string): Promise<Server> {
  const rootDir = join(dir, 'ours');
  const program = join(import.meta.dirname, 'server.ts');
  return start('@tsc/registry', [process.execPath, '--max-semi-space-size=2', program, rootDir], {
    blob: (hex) => join(rootDir, 'blobs/sha256', hex.slice(0, 2), hex),
    repository: (name) => join(rootDir, 'repositories', name),
  });
}

/** The program `docker-registry`, or a newer one of the same making, with Debian's configuration without accounts. */
export async function startDistribution(dir: string, name: string, program: string): Promise<Server> {
  const own = join(dir, name.replaceAll('/', '-'));
  const storageDir = join(own, 'storage');
  const configFile = join(own, 'config.yml');
  mkdirSync(storageDir, { recursive: true });
  // JSON is YAML too.
  const config = {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: {
      cache: { blobdescriptor: 'inmemory' },
      filesystem: { rootdirectory: storageDir },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: '127.0.0.1:0', secret: 'of the bench' },
  };
  writeFileSync(configFile, JSON.stringify(config));
  const below = join(storageDir, 'docker/registry/v2');
  return start(name, ['env', 'OTEL_TRACES_EXPORTER=none', program, 'serve', configFile], {
    blob: (hex) => join(below, 'blobs/sha256', hex.slice(0, 2), hex),
    repository: (repository) => join(below, 'repositories', repository),
  });
}

/** Registries in the order of the table; `others` are programs besides Debian's. */
export async function startServers(
  dir: string,
  { others, stack }: { readonly others: readonly string[]; readonly stack: AsyncDisposableStack },
): Promise<readonly Server[]> {
  const servers = [stack.use(await startOurs(dir))];
  const debian = findProgram('docker-registry');
  if (debian !== undefined) servers.push(stack.use(await startDistribution(dir, 'docker-registry', debian)));
  for (const program of others) servers.push(stack.use(await startDistribution(dir, program, program)));
  return servers;
}
