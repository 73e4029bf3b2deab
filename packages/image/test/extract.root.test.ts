import { execFileSync, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  emptyImage,
  extractImage,
  isImageError,
  layerFromDirectory,
  openImageStore,
  type Image,
} from '../src/index.ts';
import { scratch, type Scratch } from './scratch.ts';
import { imageOf } from './tar-list.ts';
import type { Member } from './tar-of.ts';
import { describeTree, makeTree, tar } from './tree.ts';

/** The tree as the kernel's overlayfs shows the unpacked layers. */
const asMounted = async (tmp: Scratch, image: Image): Promise<readonly string[]> => {
  const store = await openImageStore({ rootDir: tmp.at('store') });
  const { layerDirs } = await store.write(image);
  mkdirSync(tmp.at('none'), { recursive: true });
  mkdirSync(tmp.at('merged'), { recursive: true });
  const lower = [...layerDirs, tmp.at('none')].join(':');
  execFileSync('mount', ['-t', 'overlay', '-o', `lowerdir=${lower}`, 'overlay', tmp.at('merged')]);
  try {
    // Overlayfs lists whiteouts of nothing, which then can't be found; a copy goes without them, and says so.
    spawnSync('cp', ['-a', tmp.at('merged'), tmp.at('ours')], { stdio: 'ignore' });
    return describeTree(tmp.at('ours'));
  } finally {
    execFileSync('umount', [tmp.at('merged')]);
  }
};

/** The tree as GNU tar unpacks the archive. */
const asExtracted = async (tmp: Scratch, image: Image): Promise<readonly string[]> => {
  await pipeline(extractImage(image), createWriteStream(tmp.at('tree.tar')));
  mkdirSync(tmp.at('theirs'));
  const options = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '--delay-directory-restore'];
  tar('-C', tmp.at('theirs'), ...options, '-xpf', tmp.at('tree.tar'));
  return describeTree(tmp.at('theirs'));
};

/** Names, types, owners and content; whole but for the directories', which some layers only lead through. */
const withoutDirectories = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => {
    const [name = '', mode = ''] = line.split(' ');
    return mode.startsWith('40') ? `${name} directory` : line;
  });

/** Numbers that look random and are the same on every run. */
const numbers = (seed: number): ((below: number) => number) => {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

/** A layer of some members; mostly one that can be unpacked. */
const randomLayer = (pick: (below: number) => number): readonly Member[] => {
  const one = (...names: readonly string[]): string => names[pick(names.length)] as string;
  const files = ['a/x', 'w'];
  const dirOf = (): string => Array.from({ length: pick(3) }, () => `${one('a', 'b')}/`).join('');
  const member = (): Member => {
    const dir = dirOf();
    const leaf = pick(8) === 0 ? one('a', 'b') : one('x', 'y', 'z');
    const name = dir + leaf;
    switch (pick(8)) {
      case 0:
        return { name: `${dir}${one('a', 'b')}/`, type: '5', mode: 0o755 };
      case 1:
        return { name, type: '2', linkName: one('/a', '../b', '/b/a', 'a/b', 'x') };
      case 2:
        return { name, type: '1', linkName: one(...files.filter((file) => file !== name)) };
      case 3:
        return { name: `${dir}.wh.${pick(2) === 0 ? leaf : one('a', 'b')}`, content: '' };
      case 4:
        // Not of the root, where the kernel doesn't look for it.
        return { name: `${dir === '' ? 'a/' : dir}.wh..wh..opq`, content: '' };
      case 5:
        return { name, type: '6' };
      default:
        files.push(name);
        return { name, content: `${name} ${String(pick(9))}` };
    }
  };
  return [{ name: 'a/x', content: 'first' }, { name: 'w', content: 'second' }, ...Array.from({ length: 7 }, member)];
};

const outcome = async <T>(act: () => Promise<T>): Promise<T | string> => {
  try {
    return await act();
  } catch (error) {
    // Which of several faults is told first is not the same, for layers are unpacked side by side.
    if (isImageError(error)) return error.code;
    throw error;
  }
};

describeRoot('extractImage', () => {
  it('shows what the kernel shows of a root filesystem with a layer over it', async () => {
    using tmp = scratch();
    mkdirSync(tmp.at('tree'));
    makeTree(tmp.at('tree'));
    const over = await imageOf([
      { name: './', type: '5', mode: 0o755, pax: { mtime: '1' } },
      { name: 'bin/', type: '5', mode: 0o700, pax: { mtime: '1234567890.5' } },
      { name: 'bin/.wh.tool', content: '' },
      { name: 'etc/', type: '5', mode: 0o755 },
      { name: 'etc/owned', content: 'replaced' },
      { name: 'etc/.wh.sparse', content: '' },
    ]);
    const image = appendLayer(
      appendLayer(emptyImage(), await layerFromDirectory(tmp.at('tree'), { compression: 'gzip' })),
      over.layers[0] as Image['layers'][number],
    );
    expect(await asExtracted(tmp, image)).toEqual(await asMounted(tmp, image));
  });

  it('shows what the kernel shows of layers of any kind, and refuses what can not be unpacked', async () => {
    let compared = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const pick = numbers(seed);
      const layers = Array.from({ length: 3 }, () => randomLayer(pick));
      using tmp = scratch();
      const image = await imageOf(...layers);
      const mounted = await outcome(() => asMounted(tmp, image));
      // A link that replaces a directory with its own target in it: we keep the target, the kernel has lost it.
      if (mounted === 'LAYER_FAILED') continue;
      const extracted = await outcome(() => asExtracted(tmp, image));
      const shown = [mounted, extracted].map((seen) =>
        typeof seen === 'string' ? 'refused' : withoutDirectories(seen),
      );
      expect({ seed, seen: shown[1] }).toEqual({ seed, seen: shown[0] });
      if (typeof mounted !== 'string') compared += 1;
    }
    expect(compared).toBeGreaterThan(20);
  });
});
