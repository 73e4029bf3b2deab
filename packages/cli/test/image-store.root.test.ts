import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { testCli } from './cli.ts';
import type { Cli } from './cli.ts';

/** Builds an image on busybox; `lines` are those of its Dockerfile after FROM. */
async function build(cli: Cli, name: string, ...lines: readonly string[]): Promise<string> {
  mkdirSync(cli.at('ctx'), { recursive: true });
  writeFileSync(cli.at('ctx/Dockerfile'), ['FROM busybox', ...lines].join('\n'));
  writeFileSync(cli.at('ctx/data'), Buffer.alloc(3_000_000, name));
  return (await cli.ok('build', '-q', '-t', name, cli.at('ctx'))).trim();
}

const du = (...paths: readonly string[]): number =>
  execFileSync('du', ['-s', '--block-size=1', ...paths], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number.parseInt(line, 10), 0);

const lines = (text: string): readonly string[] => text.split('\n').filter(Boolean);

describeRoot('history', () => {
  it('shows what made an image, the last step first', async () => {
    await using cli = await testCli();
    const id = await build(cli, 'app', 'COPY data /data', 'ENV A=1', 'CMD ["sh"]');
    const [head, ...rows] = lines(await cli.ok('history', 'app'));
    expect(head).toMatch(/^IMAGE {10}CREATED +CREATED BY +SIZE +COMMENT$/);
    expect(rows[0]).toMatch(new RegExp(`^${id.slice(7, 19)} +.* ago +CMD \\["sh"\\] +0B`));
    expect(rows.at(-1)).toMatch(/^<missing> +.* ago +[\d.]+MB +Imported from -$/);
    const steps = await cli.ok(
      'history',
      '--no-trunc',
      '-H=false',
      '--format',
      '{{.ID}} {{.Size}} {{.CreatedBy}}',
      'app',
    );
    expect(lines(steps).slice(0, 3)).toEqual([
      expect.stringMatching(new RegExp(`^${id} 0 CMD`)),
      expect.stringMatching(/^<missing> 0 ENV A=1/),
      expect.stringMatching(/^<missing> 3000000 COPY data \/data/),
    ]);
    expect(lines(await cli.ok('image', 'history', '-q', 'app'))).toEqual([
      id.slice(7, 19),
      ...rows.slice(1).map(() => '<missing>'),
    ]);
    const json = lines(await cli.ok('history', '--format', 'json', 'app')).map((line) => JSON.parse(line) as object);
    expect(Object.keys(json[0] ?? {})).toEqual(['Comment', 'CreatedAt', 'CreatedBy', 'CreatedSince', 'ID', 'Size']);
  });
});

describeRoot('image inspect', () => {
  it('has the shape of Docker', async () => {
    await using cli = await testCli();
    const id = await build(cli, 'app:1', 'COPY data /data', 'LABEL k=v', 'EXPOSE 80');
    const [image] = JSON.parse(await cli.ok('image', 'inspect', 'app:1')) as Record<string, unknown>[];
    expect(image).toMatchObject({
      Id: id,
      RepoTags: ['app:1'],
      RepoDigests: [],
      Parent: '',
      Comment: '',
      Created: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      Author: '',
      Config: { Labels: { k: 'v' }, ExposedPorts: { '80/tcp': {} } },
      Os: 'linux',
      Size: expect.any(Number),
      RootFS: { Type: 'layers', Layers: [expect.stringMatching(/^sha256:/), expect.stringMatching(/^sha256:/)] },
      Metadata: { LastTagTime: expect.any(String) },
      Descriptor: { mediaType: expect.stringMatching(/manifest/), digest: expect.stringMatching(/^sha256:/) },
      GraphDriver: { Name: 'overlay2' },
    });
    const upper = (await cli.ok('inspect', '--type', 'image', '-f', '{{.GraphDriver.Data.UpperDir}}', 'app:1')).trim();
    expect(execFileSync('ls', [upper], { encoding: 'utf8' })).toBe('data\n');
    const missing = await cli.run(['image', 'inspect', 'nope']);
    expect([missing.code, missing.stdout, missing.stderr]).toEqual([1, '[]\n', 'tsc: no such image: nope:latest\n']);
  });
});

describeRoot('image ls', () => {
  it('filters and formats as Docker does', async () => {
    await using cli = await testCli();
    await build(cli, 'app:1', 'LABEL tier=web');
    await build(cli, 'app:1', 'LABEL tier=api');
    await cli.ok('tag', 'app:1', 'localhost:5000/team/app:2');
    const names = async (...words: readonly string[]): Promise<readonly string[]> =>
      lines(await cli.ok('images', '--format', '{{.Repository}}:{{.Tag}}', ...words)).toSorted();
    expect(await names('-f', 'dangling=true')).toEqual(['<none>:<none>']);
    expect(await names('-f', 'dangling=false')).toEqual(['app:1', 'busybox:latest', 'localhost:5000/team/app:2']);
    expect(await names('-f', 'label=tier=web')).toEqual(['<none>:<none>']);
    expect(await names('-f', 'since=busybox', '-f', 'label=tier=api')).toEqual(['app:1', 'localhost:5000/team/app:2']);
    expect(await names('-f', 'reference=*/*/*:2')).toEqual(['localhost:5000/team/app:2']);
    expect(await names('-f', 'until=1h')).toEqual([]);
    expect(await names('app')).toEqual(['app:1']);
    expect((await cli.ok('images', '--digests', 'app')).split('\n')[0]).toMatch(
      /^REPOSITORY +TAG +DIGEST +IMAGE ID +CREATED +SIZE$/,
    );
    const refused = await cli.run(['images', '--tree']);
    expect([refused.code, refused.stderr.split('\n')[0]]).toEqual([125, 'tsc: flag --tree is not supported yet.']);
  });
});

describeRoot('image prune', () => {
  it('asks, and removes what nothing uses', async () => {
    await using cli = await testCli();
    const old = await build(cli, 'app:1', 'COPY data /data', 'LABEL v=1');
    await build(cli, 'app:1', 'LABEL v=2');
    const question = 'WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ';
    const no = await cli.run(['image', 'prune'], { input: 'n\n' });
    expect([no.code, no.stdout, no.stderr]).toEqual([0, question, '']);
    expect(await cli.ok('image', 'prune', '-f', '--filter', 'label=v=3')).toBe('Total reclaimed space: 0B\n');
    const yes = await cli.run(['image', 'prune'], { input: 'y\n' });
    expect(yes.stdout).toMatch(
      new RegExp(
        `^${question.replace(/[[\]?]/g, '\\$&')}Deleted Images:\ndeleted: ${old}\n[^]*\n\nTotal reclaimed space: [36][.\\d]*MB\n$`,
      ),
    );
    await cli.ok('create', '--name', 'box', 'busybox');
    const all = await cli.ok('image', 'prune', '-a', '-f');
    expect(all).toMatch(/^Deleted Images:\nuntagged: app:1\ndeleted: sha256:/);
    expect(await cli.ok('images', '--format', '{{.Repository}}')).toBe('busybox\n');
    expect(await cli.ok('run', '--rm', '--network', 'none', 'busybox', 'echo', 'alive')).toBe('alive\n');
  });
});

describeRoot('system df', () => {
  it('tells what du tells', async () => {
    await using cli = await testCli();
    await build(cli, 'app', 'COPY data /data');
    const write = (file: string, megabytes: number): readonly string[] => [
      'sh',
      '-c',
      `dd if=/dev/zero of=${file} bs=1M count=${String(megabytes)} 2>/dev/null`,
    ];
    const run = ['run', '--network', 'none', '--name'];
    await cli.ok(...run, 'with-volume', '-v', 'vol:/v', 'app', ...write('/v/x', 4));
    await cli.ok(...run, 'without', 'app', ...write('/x', 5));
    const [head, ...rows] = lines(await cli.ok('system', 'df'));
    expect(head).toMatch(/^TYPE {12}TOTAL +ACTIVE +SIZE +RECLAIMABLE$/);
    expect(rows.map((row) => row.replace(/ {2,}/g, '|'))).toEqual([
      expect.stringMatching(/^Images\|2\|1\|[\d.]+MB\|[\d.]+k?B \(\d+%\)$/),
      expect.stringMatching(/^Containers\|2\|0\|5\.[\d.]+MB\|5\.[\d.]+MB \(100%\)$/),
      expect.stringMatching(/^Local Volumes\|1\|1\|4\.[\d.]+MB\|0B \(0%\)$/),
      'Build Cache|0|0|0B|0B',
    ]);
    const told = await cli.ok('system', 'df', '--format', '{{.Size}}');
    const bytes = (word: string): number =>
      Number.parseFloat(word) * (word.endsWith('MB') ? 1e6 : word.endsWith('kB') ? 1e3 : 1);
    const sum = lines(told).reduce((total, word) => total + bytes(word), 0);
    expect(sum / du(cli.at('root'))).toBeGreaterThan(0.98);
    expect(sum / du(cli.at('root'))).toBeLessThan(1.02);
    const details = await cli.ok('system', 'df', '-v');
    expect(details).toMatch(
      /^Images space usage:\n\nREPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED SIZE +UNIQUE SIZE +CONTAINERS\n/,
    );
    expect(details).toMatch(/\napp +latest +[0-9a-f]{12} +.* +[\d.]+MB +[\d.]+MB +[\d.]+MB +2\n/);
    expect(details).toMatch(/\nvol +1 +4\.[\d.]+MB\n/);
    const json = JSON.parse(await cli.ok('system', 'df', '-v', '--format', 'json')) as Record<string, object[]>;
    expect([json['Images']?.length, json['Containers']?.length, json['Volumes']?.length]).toEqual([2, 2, 1]);
    await cli.ok('rm', 'with-volume', 'without');
  });
});

describeRoot('save and load', () => {
  it('know platforms', async () => {
    await using cli = await testCli();
    const platform = (await cli.ok('inspect', '-f', '{{.Os}}/{{.Architecture}}', 'busybox')).trim();
    await cli.ok('save', '--platform', platform, '-o', cli.at('bb.tar'), 'busybox');
    const other = await cli.run(['save', '--platform', 'linux/s390x', '-o', cli.at('no.tar'), 'busybox']);
    expect([other.code, other.stderr]).toEqual([
      1,
      `tsc: image busybox was found but does not provide the platform linux/s390x: it is for ${platform}\n`,
    ]);
    expect(await cli.ok('load', '-q', '--platform', platform, '-i', cli.at('bb.tar'))).toBe(
      'Loaded image: busybox:latest\n',
    );
    const bad = await cli.run(['load', '--platform', 'a/b/c/d', '-i', cli.at('bb.tar')]);
    expect([bad.code, bad.stderr.split('\n')[0]]).toEqual([1, expect.stringContaining('invalid platform "a/b/c/d"')]);
  });
});
