import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { pageEndpoints } from '../src/index.ts';
import type { AccessControl } from '../src/index.ts';
import { serve } from './operation-server.ts';
import type { TestServer } from './operation-server.ts';
import { digestOf, pushImage, pushManifest, pushService } from './page-content.ts';

const EVIL = `"><script>alert(1)</script><img src=x onerror=alert(1)>'\u202e\x07\`\${1}`;

const get = async (url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> => {
  const answer = await fetch(url, { headers, redirect: 'manual' });
  return { status: answer.status, text: await answer.text() };
};
/** Texts of a page without its markup, one for each element. */
const textsOf = (page: string): readonly string[] =>
  page
    .slice(page.indexOf('<main'), page.indexOf('</main>'))
    .replace(/<[^>]*>/g, '\n')
    .split('\n')
    .map((text) => text.trim())
    .filter((text) => text !== '');

describe('the page', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await serve((storage) => ({ endpoints: pageEndpoints({ storage, title: 'Our images' }) }));
    await pushService(server.storage, 'team/service', ['latest', '2.4']);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test('begins with the repositories, beside an API that stays as it is', async () => {
    const home = await fetch(`${server.url}/`, { redirect: 'manual' });
    expect([home.status, home.headers.get('location')]).toEqual([303, '/ui/']);
    const list = await get(`${server.url}/ui/`);
    expect(textsOf(list.text)).toEqual(['Repositories', 'Search', 'Repository', 'Tags', 'team/service', '2 tags']);
    expect(await (await fetch(`${server.url}/v2/`)).json()).toEqual({});
    expect((await get(`${server.url}/else`)).status).toBe(404);
  });

  test('has headers under which nothing runs that was pushed', async () => {
    const { headers } = await fetch(`${server.url}/ui/`, { method: 'HEAD' });
    const policy = headers.get('content-security-policy');
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/]{43}='; script-src 'sha256-[\w+/]{43}='; /);
    expect(policy).not.toMatch(/unsafe|\*/);
    expect(policy).toContain("frame-ancestors 'none'; base-uri 'none'");
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
    expect((await fetch(`${server.url}/ui/`, { method: 'POST' })).status).toBe(405);
  });

  test('shows tags with sizes and platforms, what an index has, and who refers to it', async () => {
    const tags = textsOf((await get(`${server.url}/ui/repositories/team/service`)).text);
    expect(tags).toEqual(
      expect.arrayContaining(['latest', '2.4', 'just now', '39.5 MB', 'linux/amd64', 'linux/arm64']),
    );
    const image = textsOf((await get(`${server.url}/ui/images/team/service:latest`)).text);
    const domain = new URL(server.url).host;
    expect(image).toEqual(
      expect.arrayContaining([
        `docker pull ${domain}/team/service:latest`,
        'Index',
        'linux/arm64',
        'Signature (cosign)',
        'Bill of materials (SPDX)',
      ]),
    );
  });

  test('shows what an image is made of', async () => {
    const index = await get(`${server.url}/ui/images/team/service:latest`);
    const [path = ''] = /\/ui\/images\/team\/service@sha256:[\da-f]{64}(?="[^>]*>linux\/amd64)/.exec(index.text) ?? [];
    const texts = textsOf((await get(server.url + path)).text);
    expect(texts).toEqual(
      expect.arrayContaining([
        'RUN apk add --no-cache ca-certificates nodejs &amp;&amp; rm -rf /var/cache/apk/*',
        '21.4 MB',
        'no layer',
        '[&quot;node&quot;,&quot;dist/server.js&quot;]',
        'NODE_ENV',
        'production',
        'https://git.example.com/team/service',
      ]),
    );
  });

  test.each([
    '/ui/repositories/none',
    '/ui/repositories/%2e%2e%2fetc',
    '/ui/repositories/team%2fservice',
    '/ui/images/team/service',
    '/ui/images/team/service:none',
    '/ui/images/team/service@sha256:00',
    `/ui/images/team/service@sha256:${'0'.repeat(64)}`,
    '/ui/<script>',
    '/ui/images/:x',
  ])('%s is not found, on a page that says so', async (path) => {
    const { status, text } = await get(server.url + path);
    expect([status, textsOf(text).includes('Not found')]).toEqual([404, true]);
    expect(server.failures).toEqual([]);
  });

  test('takes a Host that is none for no part of a command', async () => {
    const { request } = await import('node:http');
    const text = await new Promise<string>((resolve, reject) => {
      const headers = { Host: 'a;$(reboot)' };
      request(`${server.url}/ui/images/team/service:latest`, { headers }, (answer) => {
        let body = '';
        answer.on('data', (chunk: Buffer) => (body += chunk.toString()));
        answer.on('end', () => resolve(body));
      })
        .on('error', reject)
        .end();
    });
    expect(text).toContain('docker pull localhost/team/service:latest');
    expect(text).not.toContain('reboot');
  });
});

describe('the page of what hostile people push', () => {
  test('shows all of it as text', async () => {
    await using server = await serve((storage) => ({ endpoints: pageEndpoints({ storage, title: EVIL }) }));
    const { storage, url } = server;
    const pairs = { [EVIL]: EVIL, link: 'javascript:alert(1)', web: `https://a.example/${EVIL}` };
    const image = await pushImage(storage, 'evil', {
      tags: ['v1'],
      architecture: EVIL,
      created: EVIL,
      steps: [[EVIL, 10]],
      config: { Entrypoint: [EVIL], Env: [`${EVIL}=${EVIL}`], Labels: pairs, User: EVIL, ExposedPorts: { [EVIL]: {} } },
      annotations: pairs,
    });
    await pushManifest(storage, 'evil', {
      document: { artifactType: EVIL, annotations: pairs, layers: [], subject: image },
      tags: ['artifact'],
      referrer: { subject: image.digest, artifactType: EVIL, annotations: new Map([[EVIL, EVIL]]) },
    });
    await pushManifest(storage, 'evil', {
      mediaType: 'application/vnd.oci.image.index.v1+json',
      document: { manifests: [{ ...image, platform: { os: EVIL, architecture: EVIL }, artifactType: EVIL }] },
      tags: ['index'],
    });
    for (const path of [
      'repositories/evil',
      'images/evil:v1',
      'images/evil:artifact',
      'images/evil:index',
      `?q=${encodeURIComponent(EVIL)}`,
    ]) {
      const { status, text } = await get(`${url}/ui/${path}`);
      expect(status).toBe(200);
      expect(text.match(/<script/g)).toHaveLength(1);
      expect(text).not.toMatch(/<img|onerror=(?!alert\(1\)&gt;)|href="javascript/i);
      expect(text).not.toContain('\u202e');
      expect(text).not.toContain('\x07');
      expect(text).toContain('&lt;script&gt;');
    }
    expect(server.failures).toEqual([]);
  });

  test('shows documents that are not what they say, without failing', async () => {
    await using server = await serve((storage) => ({ endpoints: pageEndpoints({ storage }) }));
    const { storage, url } = server;
    const documents: readonly object[] = [
      {},
      { config: 1, layers: 2, manifests: 3, annotations: 4, subject: 5 },
      {
        config: { digest: 'x' },
        layers: [null, {}, { digest: digestOf(''), size: -1 }],
        annotations: { a: 1, b: ['x'] },
      },
      { config: { digest: digestOf('gone'), size: 5, mediaType: 'application/vnd.oci.image.config.v1+json' } },
      { manifests: [{ digest: digestOf('gone'), size: 1e300, platform: 'linux' }], layers: { length: 5 } },
      { layers: Array.from({ length: 3000 }, (_, index) => ({ digest: digestOf(String(index)), size: 2 ** 52 })) },
    ];
    for (const [index, document] of documents.entries()) {
      await pushManifest(storage, 'odd', { document, tags: [`v${String(index)}`] });
      const { status, text } = await get(`${url}/ui/images/odd:v${String(index)}`);
      expect(status).toBe(200);
      expect(text).not.toMatch(/NaN|undefined|\[object/);
    }
    await storage.writeManifest('odd', {
      mediaType: 'application/x',
      bytes: Buffer.from('\0not JSON'),
      digest: digestOf('\0not JSON'),
      tags: ['raw'],
      subject: undefined,
      referrer: undefined,
    });
    expect((await get(`${url}/ui/images/odd:raw`)).status).toBe(200);
    expect((await get(`${url}/ui/repositories/odd`)).text).toContain('raw');
    expect(server.failures).toEqual([]);
  });
});

describe('the page of many', () => {
  test('has pages of tags by age and by name, and finds one of them', async () => {
    await using server = await serve((storage) => ({ endpoints: pageEndpoints({ storage }) }));
    const tags = Array.from({ length: 120 }, (_, index) => `t${String(index).padStart(3, '0')}`);
    await pushImage(server.storage, 'many', { tags });
    const place = `${server.url}/ui/repositories/many`;
    const shown = async (query: string): Promise<readonly string[]> =>
      textsOf((await get(place + query)).text).filter((text) => /^t\d{3}$/.test(text));
    expect(await shown('?sort=name')).toEqual(tags.slice(0, 50));
    expect(await shown('?sort=name&page=3')).toEqual(tags.slice(100));
    expect(await shown('?sort=name&page=99')).toEqual(tags.slice(100));
    expect(await shown('?page=-1')).toHaveLength(50);
    expect(await shown('?q=T07&sort=name')).toEqual(tags.slice(70, 80));
    expect((await get(`${place}?page=2&sort=name&q=t`)).text).toContain('?q=t&amp;sort=name&amp;page=3');
  });

  test('has pages of repositories, and searches all of them', async () => {
    await using server = await serve((storage) => ({ endpoints: pageEndpoints({ storage }) }));
    const names = Array.from({ length: 60 }, (_, index) => `r${String(index).padStart(2, '0')}/app`);
    for (const name of names) await pushImage(server.storage, name, { tags: ['v1'] });
    const first = (await get(`${server.url}/ui/`)).text;
    expect(textsOf(first).filter((text) => names.includes(text))).toEqual(names.slice(0, 50));
    const [, next = ''] = /rel="next" href="([^"]+)"/.exec(first) ?? [];
    const second = (await get(server.url + next.replaceAll('&amp;', '&'))).text;
    expect(textsOf(second).filter((text) => names.includes(text))).toEqual(names.slice(50));
    expect(second).not.toContain('rel="next"');
    expect(textsOf((await get(`${server.url}/ui/?q=R59`)).text)).toContain('r59/app');
    expect(textsOf((await get(`${server.url}/ui/?q=none`)).text)).toContain('No repository matches.');
    expect(textsOf((await get(`${server.url}/ui/?q=app&after=r57/app`)).text)).toEqual(
      expect.arrayContaining(['r58/app', 'r59/app']),
    );
    for (const after of ['../../etc', '\0', 'r'.repeat(5000), 'r10/app/x']) {
      expect((await get(`${server.url}/ui/?after=${encodeURIComponent(after)}`)).status).toBe(200);
    }
    expect(server.failures).toEqual([]);
  });
});

describe('the page with access control', () => {
  const mayPull = (account: string | undefined) => (name: string) => account === 'alice' || name.startsWith('public/');
  const access: AccessControl = {
    authorize: ({ headers }) => {
      const account = headers.authorization === undefined ? undefined : 'alice';
      return Promise.resolve({ account, mayPull: mayPull(account), mayPullAll: false });
    },
  };

  test('shows what its reader may pull, and lets a reader sign in', async () => {
    await using server = await serve((storage) => ({ access, endpoints: pageEndpoints({ storage, signIn: true }) }));
    const { url, storage } = server;
    for (const name of ['public/app', 'private/app']) await pushImage(storage, name, { tags: ['v1'] });
    const alice = { authorization: 'Basic YWxpY2U6eA==' };
    expect((await get(`${url}/ui/`)).text).not.toContain('private/app');
    expect((await get(`${url}/ui/repositories/private/app`)).status).toBe(404);
    expect((await get(`${url}/ui/images/private/app:v1`)).status).toBe(404);
    expect((await get(`${url}/ui/images/public/app:v1`)).status).toBe(200);
    const asked = await fetch(`${url}/ui/sign-in`);
    expect([asked.status, asked.headers.get('www-authenticate')]).toEqual([
      401,
      'Basic realm="registry", charset="UTF-8"',
    ]);
    expect((await get(`${url}/ui/sign-in`, alice)).status).toBe(303);
    const list = (await get(`${url}/ui/`, alice)).text;
    expect(list).toContain('private/app');
    expect(list).toContain('signed in as <bdi>alice</bdi>');
    expect((await get(`${url}/ui/images/private/app:v1`, alice)).status).toBe(200);
  });
});
