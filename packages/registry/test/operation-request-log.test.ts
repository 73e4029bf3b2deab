import { describe, expect, test } from '@jest/globals';

import { createRequestLog } from '../src/index.ts';
import { readToEnd, send, serve, until } from './operation-server.ts';

async function logged(requests: readonly string[], format?: 'json' | 'text'): Promise<readonly string[]> {
  const lines: string[] = [];
  await using server = await serve(() => ({
    onRequest: createRequestLog((line) => lines.push(line), { format }),
    trustedProxies: ['127.0.0.1'],
  }));
  for (const [index, request] of requests.entries()) {
    await readToEnd(send(server.port, `${request}\r\nHost: r.example\r\nConnection: close\r\n\r\n`));
    await until('the line is there', () => lines.length === index + 1);
  }
  return lines;
}

describe('the request log', () => {
  test('has a line of JSON with fields that stay', async () => {
    const [line = ''] = await logged([
      'GET /v2/a/b/manifests/v1 HTTP/1.1\r\nUser-Agent: test/1\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.9',
    ]);
    expect(line.endsWith('}\n')).toBe(true);
    const { time, requestId, durationMs, receivedBytes, sentBytes, ...rest } = JSON.parse(line) as Record<
      string,
      unknown
    >;
    expect(rest).toEqual({
      address: '203.0.113.9',
      method: 'GET',
      host: 'r.example',
      url: '/v2/a/b/manifests/v1',
      route: 'manifest-read',
      repository: 'a/b',
      status: 404,
      error: 'MANIFEST_UNKNOWN',
      userAgent: 'test/1',
    });
    expect(Date.parse(String(time))).toBeGreaterThan(1.7e12);
    expect(requestId).toMatch(/^[\da-f-]{36}$/);
    expect(durationMs).toBeGreaterThan(0);
    expect(receivedBytes).toBeGreaterThan(120);
    expect(sentBytes).toBeGreaterThan(150);
  });

  test.each(['json', 'text'] as const)(
    'in %s, a client can write no line of its own and move no cursor',
    async (format) => {
      const lines = await logged(
        ['GET /v2/%0a%9b2J HTTP/1.1\r\nUser-Agent: a\t"\x9b31m\x85\xad\xff', `GET /v2/${'a'.repeat(5000)} HTTP/1.1`],
        format,
      );
      expect(lines.every((line) => /^[\x20-\x7e]+\n$/.test(line))).toBe(true);
      expect(lines[1]?.length).toBeLessThan(3000);
    },
  );

  test.each([
    ['GET /v2/?n=2&access_token=hunter2&last=x HTTP/1.1', '/v2/?n=2&access_token=***&last=x'],
    ['GET /v2/?acc%65ss=hunter2&hunter2 HTTP/1.1', '/v2/?***&***'],
    ['GET /token?password=hunter2 HTTP/1.1', '/token'],
    ['GET http://a:hunter2@b/v2/ HTTP/1.1', '***'],
    ['GET /v2/ HTTP/1.1\r\nAuthorization: Basic hunter2\r\nCookie: hunter2', '/v2/'],
  ])('%j is written down without its secret', async (request, url) => {
    const [line = ''] = await logged([request]);
    expect(line).not.toContain('hunter2');
    expect(JSON.parse(line)).toMatchObject({ url });
  });
});
