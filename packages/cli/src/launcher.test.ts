import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const launcher = join(dirname(new URL(import.meta.url).pathname), '../bin/tsc');

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (file: string, words: readonly string[], options: { path: string; cwd: string }): Promise<Ended> =>
  new Promise((resolve) => {
    const child = execFile(file, words, { cwd: options.cwd, env: { PATH: options.path } }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });

describe('bin/tsc', () => {
  const root = mkdtempSync(join(tmpdir(), 'tsc-launcher-'));
  const bin = join(root, 'packages/cli/bin/tsc');
  const node = join(root, '.tools/node_modules/node/bin/node');
  const system = '/usr/bin:/bin';

  const program = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
  };
  beforeAll(() => {
    mkdirSync(dirname(bin), { recursive: true });
    copyFileSync(launcher, bin);
    chmodSync(bin, 0o755);
    program(join(root, 'packages/cli/dist/main.js'), '');
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it('runs the Node of the checkout, by path and through links, from anywhere', async () => {
    program(node, 'echo ours "$@"');
    symlinkSync(bin, join(root, 'absolute'));
    symlinkSync('absolute', join(root, 'relative'));
    for (const [file, cwd] of [
      [bin, '/'],
      [join(root, 'relative'), '/'],
      ['./relative', root],
    ] as const) {
      const { code, stdout } = await run(file, ['ps', 'a b'], { path: system, cwd });
      expect(code).toBe(0);
      expect(stdout).toMatch(/^ours --max-semi-space-size=2 \S+\/dist\/main\.js ps a b\n$/);
    }
    expect((await run('/bin/sh', ['relative', 'x'], { path: system, cwd: root })).stdout).toMatch(/^ours .* x\n$/);
    rmSync(node);
  });

  it('takes the Node on PATH when it is new enough', async () => {
    const dir = join(root, 'node-24');
    program(join(dir, 'node'), 'if [ "$1" = -v ]; then echo v24.1.0; else echo path "$@"; fi');
    const { stdout } = await run(bin, ['ps'], { path: `${dir}:${system}`, cwd: '/' });
    expect(stdout).toMatch(/^path --\S+ \S+\/dist\/main\.js ps\n$/);
  });

  it('says what is missing, in one line', async () => {
    const main = join(root, 'packages/cli/dist/main.js');
    program(node, 'exit 0');
    rmSync(main);
    expect((await run(bin, ['ps'], { path: system, cwd: '/' })).stderr).toBe(
      'tsc: this checkout is not built yet: run npm run build in it\n',
    );
    program(main, '');
    rmSync(node);
    const dir = join(root, 'node-20');
    program(join(dir, 'node'), 'echo v20.19.0');
    expect(await run(bin, ['ps'], { path: `${dir}:${system}`, cwd: '/' })).toEqual({
      code: 125,
      stdout: '',
      stderr: 'tsc: this needs Node.js 24 or newer, and the one on PATH is: v20.19.0\n',
    });
    const empty = join(root, 'empty');
    mkdirSync(empty);
    expect(await run(bin, [], { path: empty, cwd: '/' })).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/none\n$/),
    });
  });
});
