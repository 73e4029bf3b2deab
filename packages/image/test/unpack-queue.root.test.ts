import { createHook } from 'node:async_hooks';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { isImageError, unpackLayer } from '../src/index.ts';
import { scratch } from './scratch.ts';
import { tarOf, type Member } from './tar-of.ts';
import { describeTree } from './tree.ts';

const file = (name: string, content: string = name): Member => ({ name, content });
const dir = (name: string): Member => ({ name, type: '5' });
const link = (name: string, linkName: string): Member => ({ name, linkName, type: '2' });
const hard = (name: string, linkName: string): Member => ({ name, linkName, type: '1' });

const unpack = (members: readonly Member[], target: string) => unpackLayer(Readable.from([tarOf(members)]), target);

/** The result of an unpacking, whatever it was, but for times that are now: of whiteouts, and directories not listed last. */
const outcome = async (members: readonly (readonly Member[])[], target: string): Promise<readonly string[]> => {
  mkdirSync(target);
  for (const archive of members) {
    try {
      await unpack(archive, target);
    } catch (error) {
      if (!isImageError(error)) throw error;
      return [error.code];
    }
  }
  return describeTree(target).map((line) => line.replace(/ (4\d{4} 0 0 {2}0|20000 0 0 0 1 0) \d+/, ' $1'));
};

const NAMES = ['a', 'b', 'a/x', 'b/x', 'a/x/y', 'b/y', 'a/.wh.x', '.wh.a', 'a/.wh..wh..opq'];
const TARGETS = ['a', 'b', 'a/x', '.', 'x', '../b', 'nowhere'];

/** Members of few names, so that they meet. */
function* randomMembers(seed: number): Generator<Member> {
  let state = seed;
  const pick = <T>(choices: readonly T[]): T =>
    choices[(state = (state * 48_271) % 2_147_483_647) % choices.length] as T;
  for (let i = 0; i < 6; i += 1) {
    const name = pick(NAMES);
    const kinds = [
      file,
      file,
      file,
      dir,
      (at: string) => link(at, pick(TARGETS)),
      (at: string) => hard(at, pick(NAMES)),
    ];
    yield pick(kinds)(name);
  }
}

describeRoot('files that are written behind', () => {
  it('are as if all had been written one after the other', async () => {
    using tmp = scratch();
    const refused = new Map<string, Member[]>();
    for (let seed = 1; seed <= 150; seed += 1) {
      const members = [...randomMembers(seed * 7919)];
      const together = await outcome([members], tmp.at(`together${String(seed)}`));
      const apart = await outcome(
        members.map((member) => [member]),
        tmp.at(`apart${String(seed)}`),
      );
      expect([members, together]).toEqual([members, apart]);
      if (together.length === 1) refused.set(together[0] as string, members);
    }
    expect([...refused.keys()].sort()).toEqual(['LAYER_INVALID', 'LAYER_UNSAFE']);
  });

  it.each<[string, Member[], Record<string, string | undefined>]>([
    ['hard links to what came just before', [file('a'), hard('b', 'a'), hard('c', 'b')], { a: 'a', b: 'a', c: 'a' }],
    ['a name twice', [file('a', '1'), file('a', '2')], { a: '2' }],
    ['a hard link replaced', [file('a', '1'), hard('b', 'a'), file('a', '2')], { a: '2', b: '1' }],
    ['a link replaced by a file', [dir('d'), link('l', 'd'), file('l'), file('d/x')], { l: 'l', 'd/x': 'd/x' }],
    ['a name through a link', [dir('d'), link('l', 'd'), file('d/f', '1'), file('l/f', '2')], { 'd/f': '2' }],
    ['a file replaced by a directory', [file('a'), dir('a'), file('a/b')], { 'a/b': 'a/b' }],
    ['a directory replaced by a file', [dir('a'), file('a/b'), file('a')], { a: 'a' }],
    ['a hard link to itself', [file('a'), hard('a', 'a'), hard('b', 'a'), hard('a', 'b')], { a: 'a', b: 'a' }],
    ['a whiteout of what is there', [file('a'), { name: '.wh.a' }], { a: 'a' }],
    ['a file in the place of a whiteout', [{ name: '.wh.a' }, file('a')], { a: 'a' }],
    ['an empty file', [file('a', ''), file('b', '')], { a: '', b: '' }],
  ])('know %s', async (_name, members, contents) => {
    using tmp = scratch();
    await unpack(members, tmp.dir);
    for (const [name, content] of Object.entries(contents)) expect(readFileSync(tmp.at(name), 'utf8')).toBe(content);
  });

  it('lead no path through what they replace', async () => {
    using tmp = scratch();
    for (const [index, members] of [
      [dir('d'), link('l', 'd'), file('l'), file('l/x')],
      [dir('d'), file('d'), file('d/x')],
      [dir('d'), link('l', 'd'), hard('h', 'l'), file('h'), file('h/x')],
      [dir('p/d'), link('l', 'p'), file('l/d'), file('p/d/x')],
    ].entries()) {
      mkdirSync(tmp.at(String(index)));
      await expect(unpack(members, tmp.at(String(index)))).rejects.toMatchObject({ code: 'LAYER_UNSAFE' });
      expect(readdirSync(tmp.at(String(index)), { recursive: true }).some((name) => String(name).endsWith('x'))).toBe(
        false,
      );
    }
  });

  it('may be larger than what is held in memory, with others between them', async () => {
    using tmp = scratch();
    const contents = [5_000_000, 3, 1_048_576, 0, 1_048_577, 2_500_000].map((size, i) =>
      String.fromCharCode(97 + i).repeat(size),
    );
    const members = contents.flatMap((content, i) => [file(`d/${String(i)}`, content), link(`l${String(i)}`, 'd')]);
    await unpackLayer(Readable.from([gzipSync(tarOf(members))]), tmp.dir);
    for (const [i, content] of contents.entries()) {
      expect(readFileSync(tmp.at(`d/${String(i)}`), 'utf8') === content).toBe(true);
      expect(readlinkSync(tmp.at(`l${String(i)}`))).toBe('d');
    }
  });

  it('say which member failed, and leave no descriptor open', async () => {
    using tmp = scratch();
    const long = 'n'.repeat(256);
    const members = [file('before'), file(long, 'x'.repeat(3_000_000)), file('after')];
    await expect(unpack(members, tmp.dir)).rejects.toMatchObject({
      code: 'LAYER_FAILED',
      errno: 'ENAMETOOLONG',
      path: long,
    });
    expect(statSync(tmp.at('before')).size).toBe(6);
  });

  it('are not written any more after an abort', async () => {
    using tmp = scratch();
    const abort = new AbortController();
    const many = tarOf(Array.from({ length: 3000 }, (_, i) => file(`f${String(i)}`, 'x'.repeat(2000))));
    async function* aborting(): AsyncGenerator<Buffer> {
      for (let at = 0; at < many.length; at += 65_536) {
        if (at > many.length / 2) abort.abort();
        yield await Promise.resolve(many.subarray(at, at + 65_536));
      }
    }
    await expect(unpackLayer(aborting(), tmp.dir, { signal: abort.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const names = readdirSync(tmp.dir).length;
    await sleep(20);
    expect(readdirSync(tmp.dir)).toHaveLength(names);
  });

  it('cost a batch for hundreds of them, and few bytes of memory whatever the layer has', async () => {
    using tmp = scratch();
    const members = Array.from({ length: 4000 }, (_, i) => file(`d/f${String(i)}`, 'x'.repeat(i % 3000)));
    const archive = gzipSync(
      Buffer.concat([tarOf([file('large', 'x'.repeat(60_000_000))]).subarray(0, -1024), tarOf(members)]),
    );
    let batches = 0;
    const hook = createHook({
      init: (_id, type) => {
        if (type === 'tsc:file-batch') batches += 1;
      },
    }).enable();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    async function* measured(): AsyncGenerator<Buffer> {
      for (let at = 0; at < archive.length; at += 1000) {
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
        yield await Promise.resolve(archive.subarray(at, at + 1000));
      }
    }
    await unpackLayer(measured(), tmp.dir);
    hook.disable();
    expect(lstatSync(tmp.at('large')).size).toBe(60_000_000);
    expect(batches).toBeLessThan(250);
    expect(most).toBeLessThan(16_000_000);
  });
});
