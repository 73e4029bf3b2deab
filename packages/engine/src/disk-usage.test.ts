import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from '@jest/globals';

import { diskBytes } from './disk-usage.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'usage-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const du = (path: string): number =>
  Number.parseInt(execFileSync('du', ['-xs', '--block-size=1', path], { encoding: 'utf8' }), 10);

it('counts what du counts: blocks, directories, hard links once, holes not at all', async () => {
  mkdirSync(join(dir, 'a/b'), { recursive: true });
  for (let i = 0; i < 200; i += 1) writeFileSync(join(dir, `a/b/file-${String(i)}`), 'x'.repeat(i * 100));
  linkSync(join(dir, 'a/b/file-199'), join(dir, 'a/other-name'));
  symlinkSync('/', join(dir, 'a/root'));
  writeFileSync(Buffer.from(`${dir}/a/not-\xfftext`, 'latin1'), 'y');
  writeFileSync(join(dir, 'holes'), '');
  truncateSync(join(dir, 'holes'), 50_000_000);
  expect(await diskBytes(dir)).toBe(du(dir));
  expect(await diskBytes(join(dir, 'a'))).toBe(du(join(dir, 'a')));
});

it('counts nothing for what is not there, and stops when asked', async () => {
  expect(await diskBytes(join(dir, 'gone'))).toBe(0);
  await expect(diskBytes(dir, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});
