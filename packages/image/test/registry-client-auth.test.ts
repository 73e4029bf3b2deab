import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, test } from '@jest/globals';

import { openRegistryClient, type Credential, type CredentialSource, type RegistriesConfig } from '../src/index.ts';
import {
  manifestBytes,
  QUICK,
  sendError,
  sendJson,
  sendManifest,
  startServer,
  type Handler,
  type Recorded,
  type TestServer,
} from './registry-server.ts';

const MANIFEST = manifestBytes('auth');
const PASSWORD = 'correct horse battery';
const BASIC = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`;

const only = (credential: Credential): CredentialSource & { asked: string[] } => {
  const asked: string[] = [];
  return {
    asked,
    credentialFor: (domain, options) => {
      asked.push(`${domain}/${options?.path ?? ''}`);
      return Promise.resolve(credential);
    },
  };
};

const ALICE = { username: 'alice', password: PASSWORD };

/** A registry that wants what `accepts` says yes to, and offers `challenge` to others. */
const guarded =
  (challenge: () => string | string[], accepts: (authorization: string | undefined) => boolean): Handler =>
  ({ headers }, response) => {
    if (accepts(headers.authorization)) {
      sendManifest(response, MANIFEST);
      return;
    }
    response.setHeader('www-authenticate', challenge());
    sendError(response, 401, ['UNAUTHORIZED', 'authentication required']);
  };

const authorizations = ({ requests }: TestServer): readonly (string | undefined)[] =>
  requests.map(({ headers }) => headers.authorization);

interface World extends AsyncDisposable {
  readonly registry: TestServer;
  readonly tokens: TestServer;
  /** Lets the credential go to the token server. */
  readonly trusting: RegistriesConfig;
}

/** A registry with a token server at another port. */
const tokenWorld = async (
  answer: (request: Recorded, count: number) => unknown,
  accepts: (authorization: string | undefined) => boolean = (sent) => sent?.startsWith('Bearer token-') === true,
): Promise<World> => {
  await using stack = new AsyncDisposableStack();
  let count = 0;
  const tokens = stack.use(
    await startServer((request, response) => {
      count += 1;
      const body = answer(request, count);
      if (typeof body === 'number')
        sendJson(response, body, { errors: [{ code: 'UNAUTHORIZED', message: `no: ${PASSWORD}` }] });
      else sendJson(response, 200, body);
    }),
  );
  const challenge = `Bearer realm="${tokens.url}/token?a=b",service="test service",scope="repository:team/app:pull"`;
  const registry = stack.use(await startServer(guarded(() => ['Negotiate', challenge], accepts)));
  const moved = stack.move();
  return {
    registry,
    tokens,
    trusting: { hosts: { [registry.domain]: { tokenHosts: [tokens.domain] } } },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
};

describe('basic authentication', () => {
  test('is sent when it is asked for, and then at once', async () => {
    await using registry = await startServer(
      guarded(
        () => 'Basic realm="a, b"',
        (sent) => sent === BASIC,
      ),
    );
    const credentials = only(ALICE);
    await using client = openRegistryClient({ credentials, retry: QUICK });
    const repository = client.repository(`${registry.domain}/team/app`);
    await repository.manifest('latest');
    await repository.manifest('latest');
    expect(authorizations(registry)).toEqual([undefined, BASIC, BASIC]);
    expect(credentials.asked).toEqual([`${registry.domain}/team/app`]);
  });

  test('that is refused ends in one error without the password', async () => {
    await using registry = await startServer(({ headers }, response) => {
      response.setHeader('www-authenticate', 'Basic realm="x"');
      const sent = Buffer.from(headers.authorization?.slice(6) ?? '', 'base64').toString();
      sendError(response, 401, ['UNAUTHORIZED', `bad ${headers.authorization ?? ''} of ${sent}`]);
    });
    await using client = openRegistryClient({ credentials: only(ALICE), retry: QUICK });
    const failure: Error = await client.repository(`${registry.domain}/app`).manifest('latest').then(fail, toError);
    expect(failure).toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
    expect(failure.message).toContain('log in');
    expect(failure.message).not.toContain('horse');
    expect(failure.message).not.toContain(BASIC.slice(6, 20));
    expect(authorizations(registry)).toEqual([undefined, BASIC]);
  });

  test('a changed password is read anew when the old one is refused', async () => {
    let accepted = BASIC;
    await using registry = await startServer(
      guarded(
        () => 'Basic realm=x',
        (sent) => sent === accepted,
      ),
    );
    let credential = ALICE;
    await using client = openRegistryClient({
      credentials: { credentialFor: () => Promise.resolve(credential) },
      retry: QUICK,
    });
    const repository = client.repository(`${registry.domain}/app`);
    await repository.manifest('latest');
    credential = { username: 'alice', password: 'new' };
    accepted = `Basic ${Buffer.from('alice:new').toString('base64')}`;
    await repository.manifest('latest');
    expect(authorizations(registry)).toEqual([undefined, BASIC, BASIC, accepted]);
  });
});

describe('token authentication', () => {
  test('is anonymous without a credential, also at another host', async () => {
    await using world = await tokenWorld(() => ({ token: 'token-1', expires_in: 300 }));
    await using client = openRegistryClient({ retry: QUICK });
    await client.repository(`${world.registry.domain}/team/app`).manifest('latest');
    const [request] = world.tokens.requests;
    expect(request?.method).toBe('GET');
    expect(Object.fromEntries(request?.query ?? [])).toEqual({
      a: 'b',
      service: 'test service',
      scope: 'repository:team/app:pull',
    });
    expect(request?.headers.authorization).toBeUndefined();
    expect(authorizations(world.registry)).toEqual([undefined, 'Bearer token-1']);
  });

  test('sends the credential to a token server that the configuration names', async () => {
    await using world = await tokenWorld(() => ({ access_token: 'token-2' }));
    await using client = openRegistryClient({ credentials: only(ALICE), registries: world.trusting, retry: QUICK });
    await client.repository(`${world.registry.domain}/team/app`).manifest('latest');
    expect(world.tokens.requests.map(({ headers }) => headers.authorization)).toEqual([BASIC]);
    expect(authorizations(world.registry)).toEqual([undefined, 'Bearer token-2']);
  });

  test('never sends it to another one, and says what to configure', async () => {
    await using world = await tokenWorld(() => ({ token: 'token-1' }));
    for (const credential of [ALICE, { identityToken: PASSWORD }]) {
      await using client = openRegistryClient({ credentials: only(credential), retry: QUICK });
      const failure = await client
        .repository(`${world.registry.domain}/team/app`)
        .manifest('latest')
        .then(fail, toError);
      expect(failure).toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
      expect(failure.message).toContain(world.tokens.url);
      expect(failure.message).toContain(`tokenHosts: ["${world.tokens.domain}"]`);
      expect(failure.message).not.toContain('horse');
    }
    expect(world.tokens.requests).toEqual([]);
    expect(authorizations(world.registry)).toEqual([undefined, undefined]);
  });

  test('exchanges an identity token by POST, and sends a registry token as it is', async () => {
    await using world = await tokenWorld(() => ({ access_token: 'token-3', refresh_token: 'x' }));
    const name = `${world.registry.domain}/team/app`;
    await using identity = openRegistryClient({
      credentials: only({ identityToken: 'refresh me' }),
      registries: world.trusting,
      retry: QUICK,
    });
    await identity.repository(name).manifest('latest');
    const [request] = world.tokens.requests;
    expect(request?.method).toBe('POST');
    expect(Object.fromEntries(new URLSearchParams(request?.body.toString()))).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh me',
      client_id: 'tsc',
      service: 'test service',
      scope: 'repository:team/app:pull',
    });
    await using registry = openRegistryClient({ credentials: only({ registryToken: 'token-mine' }), retry: QUICK });
    await registry.repository(name).manifest('latest');
    expect(authorizations(world.registry)).toEqual([undefined, 'Bearer token-3', undefined, 'Bearer token-mine']);
    expect(world.tokens.requests).toHaveLength(1);
  });

  test('many requests at once share one token, and each need has its own', async () => {
    await using world = await tokenWorld((_, count) => ({ token: `token-${String(count)}`, expires_in: 300 }));
    await using client = openRegistryClient({ retry: QUICK });
    const repository = client.repository(`${world.registry.domain}/team/app`);
    await repository.manifest('latest');
    await Promise.all(Array.from({ length: 8 }, () => repository.manifest('latest')));
    expect(world.tokens.requests).toHaveLength(1);
    const other = client.repository(`${world.registry.domain}/team/other`);
    await Promise.all(Array.from({ length: 8 }, () => other.manifest('latest')));
    await expect(
      repository.putManifest(MANIFEST, { mediaType: 'application/vnd.oci.image.manifest.v1+json' }),
    ).resolves.toBeDefined();
    expect(world.tokens.requests.map(({ query }) => query.getAll('scope'))).toEqual([
      ['repository:team/app:pull'],
      ['repository:team/other:pull'],
      ['repository:team/app:pull,push'],
    ]);
    // Only the first request was turned away.
    expect(authorizations(world.registry).filter((sent) => sent === undefined)).toHaveLength(1);
  });

  test('one that is refused is replaced once; one that is old is replaced before', async () => {
    let refused = 'Bearer token-1';
    await using world = await tokenWorld(
      (_, count) =>
        count < 3
          ? { token: `token-${String(count)}`, expires_in: 300 }
          : {
              token: `token-${String(count)}`,
              expires_in: 300,
              issued_at: new Date(Date.now() - 295_000).toISOString(),
            },
      (sent) => sent !== undefined && sent !== refused,
    );
    await using client = openRegistryClient({ retry: QUICK });
    const repository = client.repository(`${world.registry.domain}/team/app`);
    await expect(repository.manifest('latest')).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
    expect(authorizations(world.registry)).toEqual([undefined, 'Bearer token-1']);
    await repository.manifest('latest');
    refused = 'Bearer token-2';
    await repository.manifest('latest');
    await repository.manifest('latest');
    expect(authorizations(world.registry).slice(2)).toEqual([
      'Bearer token-1',
      'Bearer token-2',
      'Bearer token-2',
      'Bearer token-3',
      'Bearer token-4',
    ]);
  });

  test('an abort of one who waits leaves the others their token', async () => {
    await using tokens = await startServer(async (_, response) => {
      await delay(100);
      sendJson(response, 200, { token: 'token-1' });
    });
    const challenge = `Bearer realm="${tokens.url}"`;
    await using registry = await startServer(
      guarded(
        () => challenge,
        (sent) => sent === 'Bearer token-1',
      ),
    );
    await using client = openRegistryClient({ retry: QUICK });
    const repository = client.repository(`${registry.domain}/app`);
    const controller = new AbortController();
    const gone = repository.manifest('latest', { signal: controller.signal });
    const stays = repository.manifest('latest');
    setTimeout(() => controller.abort(new Error('never mind')), 30);
    await expect(gone).rejects.toThrow('never mind');
    await expect(stays).resolves.toMatchObject({ descriptor: { size: MANIFEST.length } });
    expect(tokens.requests).toHaveLength(1);
  });

  test.each([
    ['a refusal', 401, 'REGISTRY_UNAUTHORIZED'],
    ['no token', { expires_in: 3 }, 'REGISTRY_FAILED'],
    ['a token that would be another header', { token: 'a\r\nx: y' }, 'REGISTRY_FAILED'],
    ['something else', ['token'], 'REGISTRY_FAILED'],
    ['a server error', 503, 'REGISTRY_FAILED'],
    ['too much', { token: 'x'.repeat(2e6) }, 'REGISTRY_FAILED'],
  ])('%s of the token server is an error without secrets', async (_, answer, code) => {
    await using world = await tokenWorld(() => answer);
    await using client = openRegistryClient({ credentials: only(ALICE), registries: world.trusting, retry: QUICK });
    const failure = await client.repository(`${world.registry.domain}/team/app`).manifest('latest').then(fail, toError);
    expect(failure).toMatchObject({ code });
    expect(failure.message).toContain(world.tokens.domain);
    expect(failure.message).not.toContain('horse');
  });

  test.each(['', 'file:///etc/passwd', 'http://token.example/t', 'nonsense'])('realm %j is refused', async (realm) => {
    await using registry = await startServer(
      guarded(
        () => `Bearer realm="${realm}"`,
        () => false,
      ),
    );
    await using client = openRegistryClient({ retry: QUICK });
    await expect(client.repository(`${registry.domain}/app`).manifest('latest')).rejects.toMatchObject({
      code: 'REGISTRY_UNAUTHORIZED',
    });
  });

  test('a token server that redirects gets no further with the credential', async () => {
    await using thief = await startServer((_, response) => sendJson(response, 200, { token: 'token-1' }));
    await using tokens = await startServer((_, response) => {
      response.writeHead(307, { location: `${thief.url}/token` }).end();
    });
    await using registry = await startServer(
      guarded(
        () => `Bearer realm="${tokens.url}"`,
        () => false,
      ),
    );
    const registries = { hosts: { [registry.domain]: { tokenHosts: [tokens.domain] } } };
    await using client = openRegistryClient({ credentials: only(ALICE), registries, retry: QUICK });
    await expect(client.repository(`${registry.domain}/app`).manifest('latest')).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
    });
    expect(thief.requests).toEqual([]);
  });
});

describe('verifyCredential', () => {
  test('takes what the registry takes, and says so where it does not', async () => {
    await using registry = await startServer(
      guarded(
        () => 'Basic realm=x',
        (sent) => sent === BASIC,
      ),
    );
    await using client = openRegistryClient({ retry: QUICK });
    await client.verifyCredential(registry.domain, ALICE);
    await expect(client.verifyCredential(registry.domain, { ...ALICE, password: 'wrong' })).rejects.toMatchObject({
      code: 'REGISTRY_UNAUTHORIZED',
      message: expect.stringContaining(`cannot log in to ${registry.domain}`),
    });
    // What was verified is not kept.
    await expect(client.repository(`${registry.domain}/app`).manifest('latest')).rejects.toMatchObject({
      code: 'REGISTRY_UNAUTHORIZED',
    });
    await expect(client.verifyCredential('no host/', ALICE)).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
  });
});

const fail = (): never => {
  throw new Error('it should have failed');
};
const toError = (error: unknown): Error => error as Error;
