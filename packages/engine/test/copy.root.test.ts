import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import type { Container, Engine } from '../src/index.ts';
import { failureOf, testEngine, until, warmUp } from './test-engine.ts';

const COPIES = 300;

async function bytesOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** An archive as GNU tar lists it: modes, owners, names and targets. */
const listing = (archive: Buffer): string[] =>
  execFileSync('tar', ['-tvf', '-', '--numeric-owner'], { input: archive, encoding: 'utf8' })
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^(\S+) (\S+)\s+(\d+) \S+ \S+ /, '$1 $2 $3 '));

const tarOf = (dir: string, ...names: string[]): Readable =>
  Readable.from([execFileSync('tar', ['-C', dir, '--owner=7', '--group=8', '-cf', '-', ...names])]);

const contentIn = (archive: Buffer, name: string): string =>
  execFileSync('tar', ['-xOf', '-', name], { input: archive, encoding: 'utf8' });

const FILES =
  'mkdir -p /work/sub; echo text > /work/file; chown 7:8 /work/file; chmod 4755 /work/file; ln -s file /work/link; ' +
  'ln -s /etc /work/etc; ln -s ../../../../../../etc/passwd /work/up; echo deep > /work/sub/deep';

async function make(engine: Engine, then: string): Promise<Container> {
  const running = await engine.run({
    image: 'busybox',
    command: ['sh', '-c', `${FILES}; echo ready; ${then}`],
    network: 'none',
  });
  await until('its files', async () => running.container.statPath('/work/sub/deep'));
  if (then === '') await running.wait();
  return running.container;
}

for (const [state, then] of [
  ['running', 'exec sleep 1000'],
  ['stopped', ''],
] as const) {
  describeRoot(`copying from and to a container that is ${state}`, () => {
    beforeAll(warmUp);

    it('finds what is there as the container sees it', async () => {
      await using t = await testEngine();
      const container = await make(t.engine, then);
      expect(await container.statPath('/work/file')).toMatchObject({
        name: 'file',
        type: 'file',
        sizeBytes: 5,
        mode: 0o4755,
      });
      expect(await container.statPath('/work/link')).toMatchObject({ type: 'symlink', linkTarget: 'file' });
      expect(await container.statPath('/work/etc/passwd')).toMatchObject({ type: 'file' });
      expect(await container.statPath('/etc/../..')).toMatchObject({ type: 'directory' });
      for (const path of ['/none', '/none/below', '/work/file/below'])
        expect(await container.statPath(path)).toBeUndefined();
    });

    it('reads files, directories and links', async () => {
      await using t = await testEngine();
      const container = await make(t.engine, then);
      const read = async (path: string): Promise<Buffer> => bytesOf((await container.readArchive(path)).archive);
      expect(listing(await read('/work/file'))).toEqual(['-rwsr-xr-x 7/8 5 file']);
      expect(contentIn(await read('/work/file'), 'file')).toBe('text\n');
      expect(listing(await read('/work'))).toEqual([
        'drwxr-xr-x 0/0 0 work/',
        'lrwxrwxrwx 0/0 0 work/etc -> /etc',
        '-rwsr-xr-x 7/8 5 work/file',
        'lrwxrwxrwx 0/0 0 work/link -> file',
        'drwxr-xr-x 0/0 0 work/sub/',
        '-rw-r--r-- 0/0 5 work/sub/deep',
        'lrwxrwxrwx 0/0 0 work/up -> ../../../../../../etc/passwd',
      ]);
      expect(listing(await read('/work/link'))).toEqual(['lrwxrwxrwx 0/0 0 link -> file']);
      expect(contentIn(await read('/etc/../../etc/passwd'), 'passwd')).toContain('alice:x:1000');
      expect(await failureOf(container.readArchive('/none'))).toBe(
        'ENGINE_NO_SUCH_PATH: could not find the file /none in the container',
      );
      const left = await container.readArchive('/work');
      left.archive.destroy(); // leaves neither descriptor nor lock
      expect(listing(await read('/work/sub'))).toHaveLength(2);
    });

    it('writes below the directory, with the archive’s owners or root’s', async () => {
      await using t = await testEngine();
      const container = await make(t.engine, then);
      mkdirSync(t.at('in/dir'), { recursive: true });
      writeFileSync(t.at('in/dir/new'), 'new\n');
      writeFileSync(t.at('in/.wh.file'), 'a name like any other\n');
      await container.writeArchive('/work', tarOf(t.at('in'), '.'));
      await container.writeArchive('/work/sub', tarOf(t.at('in'), 'dir'), { copyUidGid: false });
      const lines = listing(await bytesOf((await container.readArchive('/work')).archive));
      expect(lines).toContain('-rw-r--r-- 7/8 4 work/dir/new');
      expect(lines).toContain('-rw-r--r-- 0/0 4 work/sub/dir/new');
      expect(lines).toContain('-rwsr-xr-x 7/8 5 work/file');
      expect(lines.some((line) => line.endsWith(' work/.wh.file'))).toBe(true);
      expect(await failureOf(container.writeArchive('/work/file', tarOf(t.at('in'), '.')))).toBe(
        'ENGINE_NO_SUCH_PATH: not a directory: /work/file',
      );
      expect(await failureOf(container.writeArchive('/none', tarOf(t.at('in'), '.')))).toMatch(/^ENGINE_NO_SUCH_PATH/);
    });

    it('never leaves the container by what an archive or a link says', async () => {
      await using t = await testEngine();
      const container = await make(t.engine, then);
      mkdirSync(t.at('canary'));
      writeFileSync(t.at('canary/file'), 'canary\n');
      mkdirSync(t.at('evil'));
      writeFileSync(t.at('evil/payload'), 'payload\n');
      const transformed = (expression: string): Readable =>
        Readable.from([
          execFileSync('tar', ['-C', t.at('evil'), '-P', `--transform=${expression}`, '-cf', '-', 'payload']),
        ]);
      for (const expression of [`s,^,${t.at('canary')}/,`, `s,^,../../../../../..${t.at('canary')}/,`]) {
        await failureOf(container.writeArchive('/work', transformed(expression)));
      }
      expect(readdirSync(t.at('canary'))).toEqual(['file']);
      expect(await failureOf(container.readArchive(t.at('canary/file')))).toMatch(/^ENGINE_NO_SUCH_PATH/);
    });
  });
}

describeRoot('copying while the container swaps directories for links', () => {
  beforeAll(warmUp);

  it('neither reads nor writes outside of it', async () => {
    await using t = await testEngine();
    const canary = t.at('canary');
    mkdirSync(canary);
    writeFileSync(`${canary}/file`, 'canary\n');
    // The canary's path means nothing inside, so it would be found only by following the link on the host.
    const swap =
      `mkdir /work/real; echo inside > /work/real/file; ln -s ${canary} /work/evil; cp -a /work/real /work/place; ` +
      'while :; do mv /work/place /work/t; mv -T /work/evil /work/place; mv -T /work/place /work/evil; mv -T /work/t /work/place; done';
    const container = await make(t.engine, swap);
    mkdirSync(t.at('in'));
    writeFileSync(t.at('in/written'), 'written\n');
    for (let copy = 0; copy < COPIES; copy += 1) {
      const path = copy % 2 === 0 ? '/work/place/file' : '/work';
      const outcome = await failureOf(
        container.readArchive(path).then(async ({ archive }) => {
          expect((await bytesOf(archive)).includes('canary\n')).toBe(false);
        }),
      );
      expect(outcome).toMatch(/^it succeeded$|^ENGINE_NO_SUCH_PATH: |ENOENT|ENOTDIR|ELOOP|LAYER_FAILED/);
      await failureOf(container.writeArchive('/work/place', tarOf(t.at('in'), 'written')));
    }
    expect(readdirSync(canary)).toEqual(['file']);
    expect(readFileSync(`${canary}/file`, 'utf8')).toBe('canary\n');
  }, 120_000);
});
