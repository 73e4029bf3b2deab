import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { isRegistryConfigError } from '../errors.ts';
import { readConfiguration } from './file.ts';
import { runRegistry } from './service.ts';
import { parseBytes, parseTime } from './units.ts';

async function readText(text: string, others: Readonly<Record<string, string>> = {}): Promise<unknown> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'registry-file-'));
  for (const [name, content] of Object.entries(others)) await writeFile(join(dir.path, name), content);
  await writeFile(join(dir.path, 'registry.yaml'), text);
  const { path } = dir;
  const withoutDir = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replaceAll(path, 'DIR')) as unknown;
  try {
    return withoutDir(await readConfiguration(join(path, 'registry.yaml')));
  } catch (error) {
    if (!isRegistryConfigError(error)) throw error;
    return withoutDir(error.message);
  }
}

describe('a configuration file', () => {
  test('of the README is understood whole', async () => {
    const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8');
    const [, yaml = ''] = /```yaml\n([^]*?)```/.exec(readme) ?? [];
    expect(await readText(yaml)).toMatchObject({
      storage: { rootDir: '/srv/registry' },
      tls: { certFile: 'DIR/tls.crt', keyFile: 'DIR/tls.key' },
      policy: [{ quotaBytes: 50e9 }],
      retention: { everyMs: 3_600_000, rules: [{ keepWithinMs: 7 * 86_400_000 }, {}] },
      scrub: { bytesPerSecond: 50e6 },
      upstreams: [{ prefix: 'docker.io', tagTtlMs: 300_000 }],
      rateLimits: { perAddress: { requests: 1000, perSeconds: 60 } },
    });
  });

  test('has secrets in files of their own, and maps whose keys are anything', async () => {
    const text = [
      'storage: { rootDir: data }',
      'access: { accounts: { htpasswdFile: a }, groups: { every: [alice] } }',
      'upstreams:',
      '  - { prefix: hub, registry: docker.io, credential: { username: me, passwordFile: secret } }',
    ];
    expect(await readText(text.join('\n'), { secret: 'open sesame\n' })).toMatchObject({
      storage: { rootDir: 'DIR/data' },
      access: { groups: { every: ['alice'] } },
      upstreams: [{ credential: { username: 'me', password: 'open sesame' } }],
    });
  });

  test.each([
    ['listen: 127.0.0.1:0', 'DIR/registry.yaml: configuration.storage: want a map, not undefined'],
    ['storage: {}', 'DIR/registry.yaml: configuration.storage: want either rootDir or s3, not {}'],
    [
      'storage: { rootDir: a }\ngarbage: { every: soon, grace: 1h }',
      'DIR/registry.yaml: garbage.every: want a time like 30s, 1h30m or 7d, not "soon"',
    ],
    [
      'storage: { rootDir: a }\npolicy: [{ repositories: ["**"], quota: lots }]',
      'DIR/registry.yaml: policy[0].quota: want a size like 10GB or 512MiB, not "lots"',
    ],
    [
      'storage: { rootDir: a }\nupstreams: [{ prefix: hub }]',
      'DIR/registry.yaml: configuration.upstreams[0].registry: want a text, not undefined',
    ],
    [
      'storage: { rootDir: a }\nacces: {}',
      expect.stringMatching(/^DIR\/registry.yaml: configuration.acces: want one of /),
    ],
    ['storage: [', expect.stringMatching(/^DIR\/registry.yaml: /)],
    [
      'storage: { rootDir: a }\nupstreams: [{ prefix: a, registry: b, credential: { username: c, passwordFile: none } }]',
      'cannot read DIR/none: ENOENT',
    ],
  ])('%j is refused, and says why', async (text, message) => {
    expect(await readText(text)).toEqual(message);
  });
});

describe('units', () => {
  test.each([
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
    ['250ms', 250],
  ])('%s is %d ms', (text, milliseconds) => {
    expect(parseTime(text, 'x')).toBe(milliseconds);
  });
  test.each(['', '1', '1 h', 'h', '1h!', '-1h', 5])('%j is no time', (text) => {
    expect(() => parseTime(text, 'x')).toThrow(/^x: want a time/);
  });
  test.each([
    ['10GB', 1e10],
    ['512MiB', 2 ** 29],
    ['1.5 kb', 1500],
    ['4096', 4096],
    [7, 7],
  ])('%j is %d bytes', (text, bytes) => {
    expect(parseBytes(text, 'x')).toBe(bytes);
  });
});

describe('a registry of plain data', () => {
  test('serves with all that runs beside it, and ends with nothing left', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'registry-run-'));
    const lines: string[] = [];
    const service = await runRegistry(
      {
        storage: { rootDir: dir.path },
        listen: '127.0.0.1:0',
        log: 'text',
        upstreams: [{ prefix: 'there', registry: '127.0.0.1:1' }],
        policy: [{ repositories: ['**'], quotaBytes: 5 }],
        garbage: { everyMs: 1000, graceMs: 0 },
      },
      { writeLog: (line) => lines.push(line) },
    );
    const ask = async (path: string, init: RequestInit = {}): Promise<number> =>
      (await fetch(`${service.url}${path}`, init)).status;
    const statuses = await Promise.all(
      ['/v2/', '/metrics', '/health/ready', '/ui/', '/v2/a/tags/list'].map((path) => ask(path)),
    );
    expect(statuses).toEqual([200, 200, 200, 200, 404]);
    expect(await ask('/v2/there/app/manifests/1')).toBe(502);
    const digest = `sha256:${'0'.repeat(64)}`;
    expect(await ask(`/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', body: 'too much' })).toBe(403);
    await service.close();
    expect(lines.filter((line) => line.includes('"GET /v2/" 200'))).toHaveLength(1);
    await expect(fetch(service.url)).rejects.toThrow();
  });

  test.each([
    [{ listen: '0.0.0.0:0' }, 'CONFIG_UNSAFE'],
    [{ access: { accounts: { htpasswdFile: '/none' } } }, 'CONFIG_FILE_UNREADABLE'],
    [{ access: { clientCertificates: {} } }, 'CONFIG_INVALID'],
  ])('is refused with %j', async (more, code) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'registry-run-'));
    const rootDir = join(dir.path, 'root');
    await expect(runRegistry({ storage: { rootDir }, ...more })).rejects.toMatchObject({ code });
    if (code !== 'CONFIG_FILE_UNREADABLE') expect(await readdir(dir.path)).toEqual([]);
  });
});
