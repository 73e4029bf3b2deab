import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { openImageStore } from '../src/index.ts';
import { scratch } from './scratch.ts';
import { describeTree, tar } from './tree.ts';

const KILLS = 8;

describeRoot('a killed import', () => {
  it('leaves whole images or nothing, and what a sweep removes', async () => {
    using tmp = scratch();
    mkdirSync(tmp.at('tree'));
    for (let i = 0; i < 2000; i += 1) writeFileSync(tmp.at(`tree/${String(i)}`), `content ${String(i)}`);
    tar('-C', tmp.at('tree'), '--format=pax', '-cf', tmp.at('rootfs.tar'), '.');
    const hook = new URL('./resolve-sources.mjs', import.meta.url).href;
    const program = new URL('./import-archive.ts', import.meta.url).pathname;
    const store = await openImageStore({ rootDir: tmp.at('store') });
    const run = (name: string) =>
      spawn(process.execPath, ['--import', hook, program, tmp.at('store'), tmp.at('rootfs.tar'), name], {
        stdio: 'inherit',
      });

    for (let i = 0; i < KILLS; i += 1) {
      const child = run(`killed:${String(i)}`);
      const exit = once(child, 'exit');
      // Some instants of its life: from before it opens the store until it is done.
      while (i > 0 && child.exitCode === null && readdirSync(tmp.at('store/work')).length === 0) await sleep(1);
      await sleep(i * 10);
      child.kill('SIGKILL');
      await exit;
      for (const { layerDirs } of await store.list()) expect(layerDirs.every((dir) => existsSync(dir))).toBe(true);
      await store.sweep();
      expect(readdirSync(tmp.at('store/work'))).toEqual([]);
    }
    expect(await once(run('done'), 'exit')).toEqual([0, null]);
    const { layerDirs } = await store.resolve('done');
    expect(describeTree(layerDirs[0] as string)).toEqual(describeTree(tmp.at('tree')));
  });
});
