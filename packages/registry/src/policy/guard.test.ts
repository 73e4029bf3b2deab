import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openFileSystemStorage } from '../filesystem/storage.ts';
import type { Digest } from '../names.ts';
import { createRegistry } from '../server/registry.ts';
import type { RegistryStorage } from '../storage.ts';
import { bodyOf, digestOf, manifestOf, push } from '../testing/contract-steps.ts';
import { storageContract } from '../testing/storage-contract.ts';
import { guardStorage } from './guard.ts';
import { openPolicy } from './rules.ts';

let rootDir: string;
let storage: RegistryStorage;
beforeEach(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  storage = await openFileSystemStorage(rootDir);
});
afterEach(() => rm(rootDir, { recursive: true }));

const policy = openPolicy([
  { repositories: ['small/**'], quotaBytes: 1000 },
  { repositories: ['**'], immutableTags: ['v*'] },
]);
const bytes = (length: number, fill: string): Buffer => Buffer.alloc(length, fill);

describe('the contract of storages, kept behind quotas that are wide enough', () => {
  const wide = openPolicy([{ repositories: ['**'], quotaBytes: 1024 ** 3 }]);
  // It mounts from anywhere, which becomes an upload where there is a quota: see below.
  const mounting = 'a repository does not have what another one has, until it is mounted';
  test.each(storageContract.filter(({ title }) => title !== mounting))('$title', async ({ run }) => {
    const other = await openFileSystemStorage(rootDir);
    await run({ one: guardStorage(storage, wide), other: guardStorage(other, wide) });
  });
});

describe('a quota', () => {
  const denied = (wanted: number, used: number): unknown =>
    expect.objectContaining({
      code: 'DENIED',
      status: 403,
      message: `over quota: small/a: ${String(used)} of 1000 bytes are used, ${String(wanted)} more are wanted`,
      detail: { quotaBytes: 1000, usedBytes: used, wantedBytes: wanted },
    });

  test('takes what fits, to the last byte, and refuses one more', async () => {
    const guarded = guardStorage(storage, policy);
    await push(guarded, 'small/a', bytes(600, 'a'));
    await push(guarded, 'small/a', bytes(400, 'b'));
    await expect(push(guarded, 'small/a', bytes(1, 'c'))).rejects.toEqual(denied(1, 1000));
    await push(guarded, 'small/b', bytes(1000, 'c'));
    await push(guarded, 'large', bytes(5000, 'c'));
  });

  test('counts a blob once, however often it is pushed, also at once', async () => {
    const guarded = guardStorage(storage, policy);
    await Promise.all(Array.from({ length: 10 }, () => push(guarded, 'small/a', bytes(600, 'a'))));
    await push(guarded, 'small/a', bytes(400, 'b'));
    const digest = await push(guarded, 'large', bytes(400, 'b'));
    expect(await guarded.mountBlob('small/a', digest, { from: ['large'] })).toBe(true);
  });

  test('is kept by twenty that end at once', async () => {
    const guarded = guardStorage(storage, policy);
    const uploads = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const upload = { name: 'small/a', id: await guarded.startUpload('small/a', 'sha256') };
        const content = bytes(300, String.fromCharCode(97 + at));
        await guarded.appendUpload(upload, { offset: 0, body: bodyOf(content) });
        return { upload, digest: digestOf(content) };
      }),
    );
    const results = await Promise.allSettled(uploads.map(({ upload, digest }) => guarded.finishUpload(upload, digest)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    let used = 0;
    for await (const { sizeBytes } of storage.listBlobs('small/a')) used += sizeBytes;
    expect(used).toBe(900);
  });

  test('holds for mounts', async () => {
    const guarded = guardStorage(storage, policy);
    const [large, fits] = [
      await push(guarded, 'large', bytes(1001, 'a')),
      await push(guarded, 'large', bytes(900, 'b')),
    ];
    await expect(guarded.mountBlob('small/a', large, { from: ['large'] })).rejects.toEqual(denied(1001, 0));
    expect(await guarded.mountBlob('small/a', fits, { from: ['nobody', 'large'] })).toBe(true);
    expect(await guarded.mountBlob('small/a', large, { from: undefined })).toBe(false);
    await expect(push(guarded, 'small/a', bytes(101, 'c'))).rejects.toEqual(denied(101, 900));
  });

  test('gives back what was deleted or collected, also by another process', async () => {
    const guarded = guardStorage(storage, policy);
    const digest = await push(guarded, 'small/a', bytes(1000, 'a'));
    await guarded.deleteBlob('small/a', digest);
    // A count may be a second old.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await push(guarded, 'small/a', bytes(1000, 'b'));
    await (await openFileSystemStorage(rootDir)).collectGarbage(0);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await push(guarded, 'small/a', bytes(1000, 'c'));
  });

  test('stops a body that doesn’t say how long it is where it passes what is left', async () => {
    const guarded = guardStorage(storage, policy);
    const upload = { name: 'small/a', id: await guarded.startUpload('small/a', 'sha256') };
    let sent = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        sent += 100;
        yield await Promise.resolve(bytes(100, 'x'));
      }
    };
    await expect(guarded.appendUpload(upload, { offset: 0, body: endless() })).rejects.toEqual(denied(1100, 0));
    expect(sent).toBe(1100);
    expect(await guarded.uploadedBytes(upload)).toBe(1000);
  });
});

describe('a registry with a policy', () => {
  const answerTo = async (method: string, path: string, headers: Record<string, string> = {}, body?: Buffer) => {
    await using registry = createRegistry({ storage, policy });
    const server = createServer(registry.handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const request = httpRequest({ port, host: '127.0.0.1', method, path, headers });
    request.on('error', () => undefined);
    if (body === undefined) request.flushHeaders();
    else request.end(body);
    const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    request.destroy();
    server.close();
    server.closeAllConnections();
    return { status: response.statusCode, text: Buffer.concat(chunks).toString() };
  };

  test('refuses a length over the quota before a byte of it is sent', async () => {
    const digest = digestOf(bytes(2000, 'a'));
    const whole = await answerTo('POST', `/v2/small/a/blobs/uploads/?digest=${digest}`, { 'content-length': '2000' });
    expect(whole.status).toBe(403);
    expect(JSON.parse(whole.text)).toEqual({
      errors: [
        {
          code: 'DENIED',
          message: 'over quota: small/a: 0 of 1000 bytes are used, 2000 more are wanted',
          detail: { quotaBytes: 1000, usedBytes: 0, wantedBytes: 2000 },
        },
      ],
    });
    const id = await storage.startUpload('small/a', 'sha256');
    const chunk = await answerTo('PATCH', `/v2/small/a/blobs/uploads/${id}`, { 'content-length': '1001' });
    expect(chunk.status).toBe(403);
    expect(await storage.uploadedBytes({ name: 'small/a', id })).toBe(0);
  });

  test('never moves nor deletes an immutable tag, nor the manifest that it names', async () => {
    const headers = { 'content-type': 'application/vnd.example+json' };
    const put = (tag: string, text: string): Promise<{ readonly status: number | undefined }> =>
      answerTo('PUT', `/v2/a/manifests/${tag}`, headers, Buffer.from(manifestOf(text).bytes));
    const remove = async (reference: string): Promise<number | undefined> =>
      (await answerTo('DELETE', `/v2/a/manifests/${reference}`)).status;
    const first: Digest = manifestOf('first').digest;
    expect((await put('v1', 'first')).status).toBe(201);
    expect((await put('v1', 'first')).status).toBe(201);
    expect((await put('v1', 'second')).status).toBe(403);
    expect((await put('latest', 'first')).status).toBe(201);
    expect((await put('latest', 'second')).status).toBe(201);
    expect(await storage.resolveTag('a', 'v1')).toBe(first);
    expect(await remove('v1')).toBe(403);
    expect(await remove('v2')).toBe(404);
    expect(await remove(first)).toBe(403);
    expect(await remove('latest')).toBe(202);
    expect(await remove(manifestOf('second').digest)).toBe(202);
    expect(await remove(manifestOf('never').digest)).toBe(404);
  });
});
