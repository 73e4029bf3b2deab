import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { isImageError, unpackLayer } from '../src/index.ts';
import { scratch } from './scratch.ts';
import { type Member, tarOf } from './tar-of.ts';
import { describeTree } from './tree.ts';

const TRIAL_MS = 1500;

// A layer's directory is ours alone, but `cp` unpacks into the root of a container that runs.
describeRoot('unpacking into a tree that somebody changes meanwhile', () => {
  it('touches nothing outside', async () => {
    using tmp = scratch();
    for (const name of ['canary', 'root', 'root/d']) mkdirSync(tmp.at(name));
    writeFileSync(tmp.at('canary/secret'), 'secret', { mode: 0o600 });
    const before = describeTree(tmp.at('canary'));
    const hook = new URL('./resolve-sources.mjs', import.meta.url).href;
    const program = new URL('./swap-names.ts', import.meta.url).pathname;
    const swapper = spawn(process.execPath, ['--import', hook, program, tmp.at('root'), 'd', 'l', tmp.at('canary')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(swapper.stdout, 'data');
    const directory: Member = { name: 'd/', type: '5', mode: 0o777, pax: { 'SCHILY.xattr.user.note': 'x' } };
    const members: Member[] = [
      ...Array<Member>(100).fill(directory),
      { name: 'd/secret', content: 'pwned', mode: 0o666 },
      { name: 'd/pipe', type: '6', mode: 0o666 },
    ];
    const archive = tarOf(members);
    let refused = 0;
    for (const end = performance.now() + TRIAL_MS; performance.now() < end;) {
      await unpackLayer(Readable.from([archive]), tmp.at('root')).catch((error: unknown) => {
        if (!isImageError(error)) throw error;
        refused += 1;
      });
    }
    swapper.kill('SIGKILL');
    await once(swapper, 'exit');
    expect(refused).toBeGreaterThan(0);
    expect(describeTree(tmp.at('canary'))).toEqual(before);
    expect([statSync(tmp.at('canary')).mode & 0o777, lstatSync(tmp.at('canary/secret')).nlink]).toEqual([0o755, 1]);
  });
});
