import { createServer, request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Stands before a registry, hands out blobs slowly, and counts their bytes. */
export interface SlowProxy extends AsyncDisposable {
  readonly domain: string;
  /** Of blobs, sent since the last time that somebody asked. */
  takeSentBytes(): number;
  /** `undefined` for as fast as it goes. */
  bytesPerSecond: number | undefined;
}

const PIECE = 64 * 1024;

export async function startSlowProxy(url: string, bytesPerSecond?: number): Promise<SlowProxy> {
  let sent = 0;
  const proxy: { bytesPerSecond: number | undefined } = { bytesPerSecond };
  const send = async (answer: IncomingMessage, to: ServerResponse): Promise<void> => {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += PIECE) {
        const piece = chunk.subarray(at, at + PIECE);
        if (to.destroyed) return;
        to.write(piece);
        sent += piece.length;
        if (proxy.bytesPerSecond !== undefined) await sleep((piece.length * 1000) / proxy.bytesPerSecond);
      }
    }
    to.end();
  };
  const server = createServer((from, to) => {
    const { method, headers, url: path = '/' } = from;
    const onward = request(new URL(path, url), { method, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      if (path.includes('/blobs/') && method === 'GET') send(answer, to).catch(() => to.destroy());
      else answer.pipe(to);
    });
    onward.on('error', () => to.destroy());
    to.on('close', () => onward.destroy());
    from.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    domain: `127.0.0.1:${port}`,
    takeSentBytes: () => {
      const taken = sent;
      sent = 0;
      return taken;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
