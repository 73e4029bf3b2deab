import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createRegistry, openFileSystemStorage } from '../src/index.ts';
import type { RegistryOptions, RegistryStorage } from '../src/index.ts';

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly rootDir: string;
  readonly storage: RegistryStorage;
  readonly failures: unknown[];
}

/** A registry of its own directory, on loopback, with what `options` makes for its storage. */
export async function serve(options: (storage: RegistryStorage) => Partial<RegistryOptions>): Promise<TestServer> {
  const rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-operation-'));
  const storage = await openFileSystemStorage(rootDir);
  const failures: unknown[] = [];
  const onFailure = (failure: unknown): void => void failures.push(failure);
  const registry = createRegistry({ storage, onFailure, ...options(storage) });
  const server = createServer(registry.handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    port,
    rootDir,
    storage,
    failures,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await registry.close();
      await rm(rootDir, { recursive: true });
    },
  };
}

/** Waits for what happens soon, somewhere else. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Sends bytes that no client library would. */
export function send(port: number, text: string): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(Buffer.from(text, 'latin1'));
  return socket;
}

/** All that comes until the other side ends. */
export async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}
