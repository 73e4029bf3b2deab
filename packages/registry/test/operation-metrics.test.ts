import { describe, expect, test } from '@jest/globals';

import { metricsEndpoint, openMetrics } from '../src/index.ts';
import type { AccessControl } from '../src/index.ts';
import { readToEnd, send, serve, until } from './operation-server.ts';
import { digestOf, pushImage } from './page-content.ts';

const LINE =
  /^(?:|# (?:HELP|TYPE) \S+ .+|[a-zA-Z_:][\w:]*(?:\{\w+="[^"\\\n]*"(?:,\w+="[^"\\\n]*")*\})? (?:[-+.\de]+|\+Inf|NaN))$/;

const read = async (url: string, headers: Record<string, string> = {}): Promise<string> => {
  const answer = await fetch(`${url}/metrics`, { headers });
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return answer.text();
};
const valueOf = (text: string, metric: string): number | undefined => {
  const line = text.split('\n').find((one) => one.startsWith(`${metric} `));
  return line === undefined ? undefined : Number(line.slice(metric.length + 1));
};

describe('metrics', () => {
  test('count requests by route, with bytes and events, and no name that a client chose', async () => {
    using metrics = await openMetrics();
    const { onAdmit, onRequest, onEvent } = metrics;
    await using server = await serve(() => ({ onAdmit, onRequest, onEvent, endpoints: [metricsEndpoint(metrics)] }));
    const { url, storage } = server;
    await pushImage(storage, 'secret/name', { tags: ['v1'] });
    for (let times = 0; times < 3; times++) await (await fetch(`${url}/v2/secret/name/manifests/v1`)).arrayBuffer();
    await fetch(`${url}/v2/secret/name/manifests/v2`);
    await fetch(`${url}/v2/secret/name/blobs/uploads/?digest=sha256:${'0'.repeat(64)}`, { method: 'POST', body: 'x' });
    await fetch(`${url}/v2/other%2f..`, { method: 'PROPFIND' });
    await until('the records are there', async () => (await read(url)).includes('route="none"'));
    const text = await read(url);
    expect(
      text
        .trimEnd()
        .split('\n')
        .filter((line) => !LINE.test(line)),
    ).toEqual([]);
    expect(valueOf(text, 'registry_requests_total{route="manifest-read",method="GET",status="200"}')).toBe(3);
    expect(valueOf(text, 'registry_requests_total{route="manifest-read",method="GET",status="404"}')).toBe(1);
    expect(valueOf(text, 'registry_request_duration_seconds_count{route="manifest-read",method="GET"}')).toBe(4);
    expect(valueOf(text, 'registry_errors_total{code="MANIFEST_UNKNOWN"}')).toBe(1);
    expect(valueOf(text, 'registry_errors_total{code="DIGEST_INVALID"}')).toBe(1);
    expect(valueOf(text, 'registry_events_total{type="pull",object="manifest"}')).toBe(3);
    expect(valueOf(text, 'registry_sent_bytes_total{route="manifest-read"}')).toBeGreaterThan(600);
    expect(valueOf(text, 'registry_received_bytes_total{route="manifest-read"}')).toBeGreaterThan(200);
    expect(text).not.toMatch(/secret|v1"|PROPFIND/);
    expect(valueOf(text, 'process_open_fds')).toBeGreaterThan(5);
    expect(valueOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(valueOf(text, 'nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0);
  });

  test('count what the kernel sends by itself', async () => {
    using metrics = await openMetrics();
    await using server = await serve(() => ({ onRequest: metrics.onRequest }));
    const body = new Uint8Array(3_000_000);
    const digest = digestOf(body);
    const pushed = await fetch(`${server.url}/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', body });
    expect(pushed.status).toBe(201);
    await (await fetch(`${server.url}/v2/a/blobs/${digest}`)).arrayBuffer();
    await until('both are counted', async () => (await metrics.text()).includes('route="blob-read"'));
    const text = await metrics.text();
    expect(valueOf(text, 'registry_received_bytes_total{route="upload-whole"}')).toBeGreaterThan(body.byteLength);
    expect(valueOf(text, 'registry_sent_bytes_total{route="blob-read"}')).toBeGreaterThan(body.byteLength);
  });

  test('know what is under way, until its client is gone', async () => {
    using metrics = await openMetrics();
    const { onAdmit, onRequest } = metrics;
    await using server = await serve(() => ({ onAdmit, onRequest, endpoints: [metricsEndpoint(metrics)] }));
    const id = await server.storage.startUpload('a', 'sha256');
    const socket = send(
      server.port,
      `PATCH /v2/a/blobs/uploads/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n12345`,
    );
    const open = async (): Promise<number | undefined> =>
      valueOf(await read(server.url), 'registry_uploads_in_progress');
    await until('the upload is counted', async () => (await open()) === 1);
    socket.destroy();
    await until('the upload is over', async () => (await open()) === 0);
    await until('it got a record', async () => /status="499"/.test(await read(server.url)));
  });

  test('measure the storage without keeping their reader waiting, and count caches and collections', async () => {
    await using server = await serve(() => ({}));
    await pushImage(server.storage, 'a', { tags: ['v1'] });
    await pushImage(server.storage, 'b', { tags: ['v1'], architecture: 'arm64' });
    using metrics = await openMetrics({ storage: server.storage });
    expect(await metrics.text()).not.toMatch(/^registry_storage_bytes /m);
    await until('it was measured', async () => /^registry_storage_bytes \d/m.test(await metrics.text()));
    const text = await metrics.text();
    expect(valueOf(text, 'registry_storage_repositories')).toBe(2);
    let bytes = 0;
    for await (const { sizeBytes } of server.storage.listContents()) bytes += sizeBytes;
    expect(valueOf(text, 'registry_storage_bytes')).toBe(bytes);
    metrics.onCache('hit');
    metrics.onGarbage({ unlinkedBlobs: 1, removedBlobs: 2, removedBytes: 300 });
    const later = await metrics.text();
    expect(valueOf(later, 'registry_cache_requests_total{result="hit"}')).toBe(1);
    expect(valueOf(later, 'registry_garbage_removed_bytes_total')).toBe(300);
    expect(valueOf(later, 'registry_garbage_last_collection_timestamp_seconds')).toBeGreaterThan(1.7e9);
  });
});

describe('who reads metrics', () => {
  const access: AccessControl = {
    authorize: ({ headers }) =>
      Promise.resolve({
        account: headers.authorization === undefined ? undefined : 'alice',
        mayPull: () => true,
        mayPullAll: true,
      }),
  };
  const status = async (url: string, headers: Record<string, string>): Promise<number> =>
    (await fetch(`${url}/metrics`, { headers })).status;

  test('is this machine and who has an account, not whom a proxy brings', async () => {
    using metrics = await openMetrics();
    await using closed = await serve(() => ({ endpoints: [metricsEndpoint(metrics)] }));
    expect(await status(closed.url, {})).toBe(200);
    expect(await status(closed.url, { 'x-forwarded-for': '203.0.113.9' })).toBe(403);
    expect(await status(closed.url, { forwarded: 'for=203.0.113.9' })).toBe(403);
    expect(await status(closed.url, { 'x-real-ip': '203.0.113.9' })).toBe(403);
    const renamed = send(closed.port, 'GET /metrics HTTP/1.1\r\nHost: registry.example\r\nConnection: close\r\n\r\n');
    expect(await readToEnd(renamed)).toMatch(/^HTTP\/1\.1 403 /);
    await using known = await serve(() => ({ access, endpoints: [metricsEndpoint(metrics, { access })] }));
    expect(await status(known.url, { 'x-forwarded-for': '203.0.113.9' })).toBe(403);
    expect(await status(known.url, { 'x-forwarded-for': '203.0.113.9', authorization: 'Basic YTpi' })).toBe(200);
  });

  test('is everybody only where that was said', async () => {
    using metrics = await openMetrics();
    await using server = await serve(() => ({
      trustedProxies: ['127.0.0.0/8'],
      endpoints: [metricsEndpoint(metrics, { needs: [] }), metricsEndpoint(metrics, { path: '/closed' })],
    }));
    expect(await status(server.url, { 'x-forwarded-for': '203.0.113.9' })).toBe(200);
    expect((await fetch(`${server.url}/closed`, { headers: { 'x-forwarded-for': '203.0.113.9' } })).status).toBe(403);
    expect((await fetch(`${server.url}/metrics`, { method: 'POST' })).status).toBe(405);
  });
});
