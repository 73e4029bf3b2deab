import { once } from 'node:events';
import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import { describe, expect, test } from '@jest/globals';

import { openRegistryClient, type CredentialSource, type RegistryClientOptions } from '../src/index.ts';
import { makeAuthority, makeCertificate } from './certificates.ts';
import { manifestBytes, QUICK, sendError, sendManifest, startServer, type Handler } from './registry-server.ts';
import { scratch } from './scratch.ts';

const MANIFEST = manifestBytes('transport');
const ALICE: CredentialSource = {
  credentialFor: () => Promise.resolve({ username: 'alice', password: 'correct horse' }),
};

const read = async (domain: string, options: RegistryClientOptions = {}, signal?: AbortSignal): Promise<Buffer> => {
  await using client = openRegistryClient({ retry: QUICK, ...options });
  const { bytes } = await client.repository(`${domain}/app`).manifest('latest', { signal });
  return bytes;
};

/** Answers as told, one after the other, and at last with the manifest. */
const inTurn = (...answers: readonly Handler[]): Handler => {
  const left = [...answers];
  return (request, response, raw) => {
    const next = left.shift() ?? ((_request, last) => sendManifest(last, MANIFEST));
    return next(request, response, raw);
  };
};

const status =
  (code: number, headers: Record<string, string> = {}): Handler =>
  (_, response) => {
    response.writeHead(code, headers).end();
  };

const hangUp: Handler = (_request, _response, raw) => {
  raw.socket.destroy();
};

/** A server of raw bytes, for what node:http would not send. */
const startRaw = async (serve: (socket: Socket) => void): Promise<AsyncDisposable & { readonly domain: string }> => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    domain: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
};

const plain = (domain: string): RegistryClientOptions => ({ registries: { hosts: { [domain]: { plainHttp: true } } } });

describe('trying again', () => {
  test.each([
    ['a lost connection', hangUp],
    ['408', status(408)],
    ['429', status(429)],
    ['429 with a time', status(429, { 'retry-after': '0' })],
    ['500', status(500)],
    ['503 with a long time, which is capped', status(503, { 'retry-after': '86400' })],
  ])('helps against %s', async (_, failure) => {
    await using registry = await startServer(inTurn(failure, failure));
    await expect(read(registry.domain)).resolves.toEqual(MANIFEST);
    expect(registry.requests).toHaveLength(3);
  });

  test('waits as long as Retry-After says', async () => {
    await using registry = await startServer(inTurn(status(429, { 'retry-after': '1' })));
    const start = performance.now();
    await read(registry.domain, { retry: { ...QUICK, maxDelayMs: 5000 } });
    expect(performance.now() - start).toBeGreaterThan(950);
  });

  test('ends in REGISTRY_THROTTLED with what the registry says', async () => {
    await using registry = await startServer((_, response) => {
      response.setHeader('retry-after', '120');
      sendError(response, 429, ['TOOMANYREQUESTS', 'you have reached\nyour pull rate limit']);
    });
    await expect(read(registry.domain)).rejects.toMatchObject({
      code: 'REGISTRY_THROTTLED',
      message: `cannot read manifest ${registry.domain}/app:latest: ${registry.domain} answered 429 "TOOMANYREQUESTS" "you have reached\\nyour pull rate limit": it asks to try again after "120"`,
    });
    expect(registry.requests).toHaveLength(QUICK.attempts);
  });

  test('does not happen for what stays as it is', async () => {
    for (const [code, expected] of [
      [400, 'REGISTRY_REFUSED'],
      [403, 'REGISTRY_UNAUTHORIZED'],
      [404, 'REGISTRY_NOT_FOUND'],
      [418, 'REGISTRY_REFUSED'],
      [501, 'REGISTRY_FAILED'],
    ] as const) {
      await using registry = await startServer(status(code));
      await expect(read(registry.domain)).rejects.toMatchObject({ code: expected });
      expect(registry.requests).toHaveLength(1);
    }
  });

  test('an abort ends it at once, also during the wait', async () => {
    await using registry = await startServer(status(503));
    const signal = AbortSignal.timeout(200);
    const start = performance.now();
    const retry = { attempts: 5, minDelayMs: 60_000, maxDelayMs: 60_000 };
    await expect(read(registry.domain, { retry }, signal)).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(performance.now() - start).toBeLessThan(5000);
    await expect(read(registry.domain, {}, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });
});

describe('servers that are not there, or not quite', () => {
  test('a closed port is REGISTRY_UNREACHABLE, with host and reason', async () => {
    await expect(read('127.0.0.1:1')).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: 'cannot reach 127.0.0.1:1: connection refused',
    });
  });

  test('one that never answers, or stops in the middle, is given up', async () => {
    const timeouts = { headersMs: 400, stallMs: 400 };
    const retry = { attempts: 1 };
    await using silent = await startRaw(() => undefined);
    await expect(read(silent.domain, { ...plain(silent.domain), timeouts, retry })).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringContaining('no answer in time'),
    });
    await using stalled = await startServer((_, response) => {
      response.writeHead(200, { 'content-length': '1000', 'content-type': 'application/json' });
      response.write('{');
    });
    await expect(read(stalled.domain, { timeouts, retry })).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringContaining('it stopped sending'),
    });
  });

  test('endless headers and endless bodies are cut', async () => {
    await using headers = await startRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const more = (): void => {
        while (!socket.destroyed && socket.write(`x-${'y'.repeat(1000)}: z\r\n`));
        socket.once('drain', more);
      };
      more();
    });
    await expect(read(headers.domain, plain(headers.domain))).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringContaining('too many headers'),
    });
    const endless =
      (code: number): Handler =>
      (_, response) => {
        response.writeHead(code, { 'content-type': 'application/json' });
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65536, '[')));
          response.once('drain', more);
        };
        more();
      };
    await using body = await startServer(endless(200));
    await expect(read(body.domain)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    await using error = await startServer(endless(400));
    await expect(read(error.domain)).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
  });

  test('no HTTP at all is REGISTRY_UNREACHABLE', async () => {
    await using strange = await startRaw((socket) => socket.end('220 smtp.example ready\r\n'));
    await expect(read(strange.domain, plain(strange.domain))).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
  });
});

describe('redirects', () => {
  test('are followed without credentials and own headers to another origin, and with them at home', async () => {
    await using storage = await startServer((_, response) => sendManifest(response, MANIFEST));
    await using registry = await startServer(({ path, headers }, response) => {
      if (headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm=x' }).end();
      } else if (path.startsWith('/v2/')) {
        response.writeHead(307, { location: '/elsewhere?x=1' }).end();
      } else {
        response.writeHead(302, { location: `${storage.url.replace('//', '//user:pass@')}/signed?key=1` }).end();
      }
    });
    const registries = { hosts: { [registry.domain]: { headers: { 'x-team': 'blue' } } } };
    await expect(read(registry.domain, { credentials: ALICE, registries })).resolves.toEqual(MANIFEST);
    expect(
      registry.requests.map(({ path, headers }) => [path, headers['x-team'], headers.authorization?.slice(0, 5)]),
    ).toEqual([
      ['/v2/app/manifests/latest', 'blue', undefined],
      ['/v2/app/manifests/latest', 'blue', 'Basic'],
      ['/elsewhere', 'blue', 'Basic'],
    ]);
    expect(storage.requests.map(({ path, headers }) => [path, headers['x-team'], headers.authorization])).toEqual([
      ['/signed', undefined, undefined],
    ]);
  });

  test('a 401 of another origin is not answered', async () => {
    await using storage = await startServer((_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm=x' }).end();
    });
    await using registry = await startServer(status(307, { location: `${storage.url}/x` }));
    await expect(read(registry.domain, { credentials: ALICE })).rejects.toMatchObject({
      code: 'REGISTRY_UNAUTHORIZED',
    });
    expect(storage.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test('in circles, to files and to nowhere are refused', async () => {
    await using circle = await startServer(status(307, { location: '/v2/' }));
    await expect(read(circle.domain)).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining('more than 5 times'),
    });
    expect(circle.requests).toHaveLength(6);
    await using file = await startServer(status(302, { location: 'file:///etc/passwd' }));
    await expect(read(file.domain)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
    await using nowhere = await startServer(status(302));
    await expect(read(nowhere.domain)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' });
  });
});

describe('TLS', () => {
  using dir = scratch();
  const authority = makeAuthority(dir.dir);
  const tls = makeCertificate(dir.dir, authority);

  test('is trusted with its authority, or without only where that is configured', async () => {
    await using registry = await startServer((_, response) => sendManifest(response, MANIFEST), { tls });
    const configured = (host: object): RegistryClientOptions => ({
      registries: { hosts: { [registry.domain]: host } },
    });
    await expect(read(registry.domain)).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringMatching(/certificate is not trusted .*configure ca/),
    });
    expect(registry.requests).toEqual([]);
    await expect(read(registry.domain, configured({ ca: authority.cert }))).resolves.toEqual(MANIFEST);
    await expect(read(registry.domain, configured({ insecure: true }))).resolves.toEqual(MANIFEST);
    await expect(read(registry.domain, configured({ ca: '/nonexistent.pem' }))).rejects.toMatchObject({
      code: 'REGISTRY_CONFIG_INVALID',
      message: 'cannot read ca "/nonexistent.pem": ENOENT',
    });
  });

  test('is not left by a redirect to plain HTTP elsewhere, and kept by one at home', async () => {
    await using thief = await startServer((_, response) => sendManifest(response, MANIFEST));
    await using away = await startServer(
      status(307, { location: `${thief.url.replace('127.0.0.1', 'localhost')}/x` }),
      { tls },
    );
    const trusted = (domain: string): RegistryClientOptions => ({
      registries: { hosts: { [domain]: { ca: authority.cert } } },
    });
    await expect(read(away.domain, trusted(away.domain))).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining('plain HTTP'),
    });
    expect(thief.requests).toEqual([]);
    await using home = await startServer(
      ({ path, headers }, response) => {
        if (path === '/there') sendManifest(response, MANIFEST);
        else response.writeHead(307, { location: `http://${headers.host ?? ''}/there` }).end();
      },
      { tls },
    );
    await expect(read(home.domain, trusted(home.domain))).resolves.toEqual(MANIFEST);
  });

  test('a token server over plain HTTP is not asked by a registry with TLS', async () => {
    await using tokens = await startServer(status(200));
    const challenge = { 'www-authenticate': `Bearer realm="${tokens.url}"` };
    await using registry = await startServer(status(401, challenge), { tls });
    const registries = { hosts: { [registry.domain]: { ca: authority.cert }, [tokens.domain]: { plainHttp: true } } };
    await expect(read(registry.domain, { registries })).rejects.toMatchObject({
      code: 'REGISTRY_UNAUTHORIZED',
      message: expect.stringContaining('plain HTTP'),
    });
    expect(tokens.requests).toEqual([]);
  });

  test('plainHttp: false keeps a loopback registry from being asked in the clear', async () => {
    await using registry = await startServer((_, response) => sendManifest(response, MANIFEST));
    const registries = { hosts: { [registry.domain]: { plainHttp: false } } };
    await expect(read(registry.domain, { registries })).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringContaining('does not speak TLS'),
    });
    expect(registry.requests).toEqual([]);
  });
});

/** A proxy that leads every host to `port` of this machine, and remembers which it was asked for. */
const startProxy = async (
  port: number,
): Promise<AsyncDisposable & { readonly url: string; readonly asked: string[] }> => {
  const asked: string[] = [];
  const seen = (what: string, authorization: string | undefined): void => {
    asked.push(`${what} ${Buffer.from(authorization?.slice(6) ?? '', 'base64').toString()}`);
  };
  const proxy = createHttpServer((raw, response) => {
    seen(raw.url ?? '', raw.headers['proxy-authorization']);
    const { pathname } = new URL(raw.url ?? '');
    httpRequest({ port, host: '127.0.0.1', path: pathname, headers: raw.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    }).end();
  });
  proxy.on('connect', (raw, client: Socket) => {
    seen(`CONNECT ${raw.url ?? ''}`, raw.headers['proxy-authorization']);
    if (raw.url?.startsWith('closed.') === true) {
      client.end('HTTP/1.1 407 No\r\n\r\n');
      return;
    }
    const server = connect(port, '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    server.pipe(client).pipe(server);
    for (const socket of [client, server]) socket.on('error', () => socket.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://me:p%40ss@127.0.0.1:${String((proxy.address() as AddressInfo).port)}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, 'close');
    },
  };
};

describe('proxies', () => {
  const portOf = (domain: string): number => Number(domain.split(':')[1]);

  test('forward plain HTTP', async () => {
    await using registry = await startServer((_, response) => sendManifest(response, MANIFEST));
    await using proxy = await startProxy(portOf(registry.domain));
    const bytes = await read('registry.test', { ...plain('registry.test'), proxy: { http: proxy.url } });
    expect(bytes).toEqual(MANIFEST);
    expect(proxy.asked).toEqual(['http://registry.test/v2/app/manifests/latest me:p@ss']);
    // Loopback is never asked for through a proxy.
    await expect(read(registry.domain, { proxy: { http: proxy.url, https: proxy.url } })).resolves.toEqual(MANIFEST);
    expect(proxy.asked).toHaveLength(1);
  });

  test('tunnel TLS, which is checked at its end', async () => {
    using dir = scratch();
    const authority = makeAuthority(dir.dir);
    const tls = makeCertificate(dir.dir, authority, 'registry.test');
    await using registry = await startServer((_, response) => sendManifest(response, MANIFEST), { tls });
    await using proxy = await startProxy(portOf(registry.domain));
    const options = (ca: string): RegistryClientOptions => ({
      proxy: { https: proxy.url },
      registries: { hosts: { 'registry.test:5000': { ca }, 'other.test': { ca } } },
    });
    await expect(read('registry.test:5000', options(authority.cert))).resolves.toEqual(MANIFEST);
    expect(proxy.asked).toEqual(['CONNECT registry.test:5000 me:p@ss']);
    const another = makeAuthority(dir.dir, 'another');
    for (const [domain, ca] of [
      ['registry.test:5000', another.cert],
      ['other.test', authority.cert],
    ] as const) {
      await expect(read(domain, options(ca))).rejects.toMatchObject({
        code: 'REGISTRY_UNREACHABLE',
        message: expect.stringContaining('not trusted'),
      });
    }
    await expect(read('closed.test', options(authority.cert))).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: 'cannot reach closed.test: the proxy answered 407',
    });
  });
});
