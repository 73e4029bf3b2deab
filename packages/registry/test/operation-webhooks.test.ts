import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdtempDisposable, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { openWebhooks } from '../src/index.ts';
import type { RegistryEvent } from '../src/index.ts';
import { serve, until } from './operation-server.ts';

interface Envelope {
  readonly events: readonly {
    readonly id: string;
    readonly action: string;
    readonly target: Record<string, unknown>;
    readonly request: Record<string, unknown>;
    readonly actor: Record<string, unknown>;
    readonly source: Record<string, unknown>;
  }[];
}

interface Delivery {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly envelope: Envelope;
}

interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly deliveries: readonly Delivery[];
  /** Tags of what it took, in the order in which it took them. */
  tags(): readonly unknown[];
}

/** Takes deliveries, and answers with what `statusOf` says; undefined is never. */
async function receive(statusOf: (attempt: number) => number | undefined, port = 0): Promise<Receiver> {
  const deliveries: Delivery[] = [];
  let attempts = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const status = statusOf(attempts++);
      if (status === undefined) return;
      const body = Buffer.concat(chunks).toString();
      if (status === 200) deliveries.push({ headers: request.headers, body, envelope: JSON.parse(body) as Envelope });
      response.writeHead(status, status === 302 ? { Location: '/elsewhere' } : {}).end();
    });
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/hook`,
    deliveries,
    tags: () => deliveries.flatMap(({ envelope }) => envelope.events.map(({ target }) => target['tag'])),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const event = (tag: string, name = 'a'): RegistryEvent => ({
  type: 'delete',
  object: 'tag',
  name,
  tag,
  requestId: 'r',
  atMs: Date.now(),
  account: undefined,
  address: undefined,
  method: 'DELETE',
  host: undefined,
  userAgent: undefined,
});
const numbered = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `v${String(index)}`);

describe('webhooks', () => {
  test('tell of a push as docker-registry would, signed, and to whom it concerns', async () => {
    await using receiver = await receive(() => 200);
    await using others = await receive(() => 200);
    await using webhooks = await openWebhooks(
      [
        {
          url: receiver.url.replace('//', '//bot:pass%20word@'),
          events: ['push'],
          repositories: ['team/*'],
          secret: 'hush',
          headers: { 'X-Own': 'yes' },
        },
        { url: others.url, repositories: ['elsewhere/**'] },
      ],
      { sourceName: 'registry.example' },
    );
    await using server = await serve(() => ({ onEvent: webhooks.onEvent }));
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const headers = { 'content-type': mediaType, 'user-agent': 'pusher/1' };
    const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] });
    const pushed = await fetch(`${server.url}/v2/team/app/manifests/v1`, { method: 'PUT', headers, body });
    await fetch(`${server.url}/v2/team/app/manifests/v1`);
    await fetch(`${server.url}/v2/other/app/manifests/v1`, { method: 'PUT', headers, body });
    await until('it was told', () => receiver.deliveries.length > 0);
    await webhooks.close();
    const [delivery, ...more] = receiver.deliveries;
    expect(more).toEqual([]);
    expect(others.deliveries).toEqual([]);
    expect(delivery?.headers).toMatchObject({
      'content-type': 'application/vnd.docker.distribution.events.v1+json',
      'x-own': 'yes',
      'x-hub-signature-256': `sha256=${createHmac('sha256', 'hush')
        .update(delivery?.body ?? '')
        .digest('hex')}`,
      authorization: `Basic ${Buffer.from('bot:pass word').toString('base64')}`,
    });
    const digest = pushed.headers.get('docker-content-digest');
    expect(delivery?.envelope.events).toEqual([
      {
        id: expect.stringMatching(/^[\da-f-]{36}$/),
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        action: 'push',
        target: {
          mediaType,
          digest,
          size: body.length,
          length: body.length,
          repository: 'team/app',
          url: `/v2/team/app/manifests/${String(digest)}`,
          tag: 'v1',
        },
        request: {
          id: expect.any(String),
          addr: '127.0.0.1',
          host: new URL(server.url).host,
          method: 'PUT',
          useragent: 'pusher/1',
        },
        actor: {},
        source: { addr: 'registry.example', instanceID: expect.any(String) },
      },
    ]);
    expect(JSON.stringify(webhooks.state())).not.toContain('pass');
  });

  test('are tried again until they arrive, in their order', async () => {
    await using receiver = await receive((attempt) => [500, 302, 429, 200][Math.min(attempt, 3)]);
    const failures: unknown[] = [];
    await using webhooks = await openWebhooks([{ url: receiver.url, retryMs: 5 }], {
      onFailure: (failure) => failures.push(failure),
    });
    for (const tag of numbered(100)) webhooks.onEvent(event(tag));
    await until('all are there', () => receiver.tags().length === 100);
    expect(receiver.tags()).toEqual(numbered(100));
    expect(failures).toHaveLength(3);
    expect(String(failures[0])).toBe(`Error: webhook ${receiver.url}: delivery failed, and is tried again`);
  });

  test('slow nobody down while a receiver hangs, and wait no longer than they may at the end', async () => {
    await using receiver = await receive(() => undefined);
    const webhooks = await openWebhooks([{ url: receiver.url, objects: ['manifest', 'tag', 'blob'] }]);
    await using server = await serve(() => ({ onEvent: webhooks.onEvent }));
    const begun = performance.now();
    for (let time = 0; time < 20; time++) {
      const answer = await fetch(
        `${server.url}/v2/a/blobs/uploads/?digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`,
        { method: 'POST' },
      );
      expect(answer.status).toBe(201);
    }
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(webhooks.state()).toEqual([{ url: receiver.url, waiting: 20, delivered: 0, dropped: 0 }]);
    const closing = performance.now();
    await webhooks.close({ graceMs: 50 });
    expect(performance.now() - closing).toBeLessThan(2000);
  });

  test('that are too many lose the oldest, and it is told', async () => {
    let open = false;
    await using receiver = await receive(() => (open ? 200 : 503));
    const failures: string[] = [];
    await using webhooks = await openWebhooks([{ url: receiver.url, retryMs: 5, queueMax: 30 }], {
      onFailure: (failure) => failures.push(String(failure)),
    });
    for (const tag of numbered(100)) webhooks.onEvent(event(tag));
    expect(webhooks.state()[0]).toMatchObject({ waiting: 30, dropped: 70 });
    open = true;
    await until('the rest is there', () => receiver.tags().length === 30);
    expect(receiver.tags().at(-1)).toBe('v99');
    expect(failures.some((failure) => failure.includes('too many events wait'))).toBe(true);
  });

  test('that a receiver will never take are given up', async () => {
    await using receiver = await receive((attempt) => (attempt === 0 ? 422 : 200));
    await using webhooks = await openWebhooks([{ url: receiver.url }]);
    webhooks.onEvent(event('bad'));
    await until('it is given up', () => webhooks.state()[0]?.dropped === 1);
    webhooks.onEvent(event('good'));
    await until('the next one is there', () => receiver.tags().length === 1);
    expect(receiver.tags()).toEqual(['good']);
  });

  test('whose URL, header or pattern is wrong are refused, without what could be a secret', async () => {
    for (const target of [{ url: 'ftp://a:hunter2@b/' }, { url: 'http://a/', headers: { x: 'hunter2\n' } }]) {
      const error: unknown = await openWebhooks([target]).catch((reason: unknown) => reason);
      expect(String(error)).toMatch(/^TypeError/);
      expect(String(error)).not.toContain('hunter2');
    }
    await expect(openWebhooks([{ url: 'http://a/', repositories: [''] }])).rejects.toThrow(TypeError);
  });
});

describe('a spool', () => {
  test('keeps what was not delivered for the next process', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'tsc-registry-spool-'));
    await using refusing = await receive((attempt) => (attempt < 2 ? 200 : 503));
    const port = Number(new URL(refusing.url).port);
    const first = await openWebhooks([{ url: refusing.url, retryMs: 5 }], { spoolDir: dir.path });
    for (const tag of numbered(2500)) first.onEvent(event(tag));
    await until('two envelopes are delivered', () => refusing.deliveries.length === 2);
    await first.close({ graceMs: 0 });
    const taken = refusing.tags();
    await refusing[Symbol.asyncDispose]();
    await using receiver = await receive(() => 200, port);
    await using second = await openWebhooks([{ url: receiver.url, retryMs: 5 }], { spoolDir: dir.path });
    second.onEvent(event('last'));
    await until('the last one is there', () => receiver.tags().at(-1) === 'last');
    expect([...taken, ...receiver.tags()]).toEqual([...numbered(2500), 'last']);
    await second.close();
    const [spool = ''] = await readdir(dir.path);
    expect((await readdir(join(dir.path, spool))).length).toBeLessThanOrEqual(2);
    await using third = await openWebhooks([{ url: receiver.url }], { spoolDir: dir.path });
    expect(third.state()[0]?.waiting).toBe(0);
  });

  test('survives kill -9 and half a line, and sends whole events in their order', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'tsc-registry-spool-'));
    const url = await (async (): Promise<string> => {
      await using nobody = await receive(() => 200);
      return nobody.url;
    })();
    const program = join(import.meta.dirname, 'operation-webhook-program.ts');
    const child = spawn(process.execPath, [program, url, dir.path, '100000'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const linesIn = async (): Promise<readonly string[]> => {
      const [spool] = await readdir(dir.path);
      if (spool === undefined) return [];
      const names = (await readdir(join(dir.path, spool))).filter((name) => name.endsWith('.jsonl')).sort();
      const texts = await Promise.all(names.map((name) => readFile(join(dir.path, spool, name), 'utf8')));
      return texts.flatMap((text) => text.split('\n').slice(0, -1));
    };
    await until('some are on the disk', async () => (await linesIn()).length > 1500);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const kept = (await linesIn()).length;
    const [spool = ''] = await readdir(dir.path);
    const newest =
      (await readdir(join(dir.path, spool)))
        .filter((name) => name.endsWith('.jsonl'))
        .sort()
        .at(-1) ?? '';
    await appendFile(join(dir.path, spool, newest), '{"number":99999,"event":{"id"');
    await using receiver = await receive(() => 200, Number(new URL(url).port));
    await using webhooks = await openWebhooks([{ url, queueMax: 1_000_000 }], { spoolDir: dir.path });
    webhooks.onEvent(event('last'));
    await until('the last one is there', () => receiver.tags().at(-1) === 'last');
    expect(receiver.tags()).toEqual([...numbered(kept), 'last']);
  });
});
