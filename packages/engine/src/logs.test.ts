import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from '@jest/globals';

import { readLogs } from './logs.ts';
import type { FollowOptions } from './logs.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'logs-'));
  path = join(dir, 'it-json.log');
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const line = (log: string, second = 0): string =>
  `${JSON.stringify({ log, stream: 'stdout', time: `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001Z` })}\n`;

async function read(options: Partial<FollowOptions> = {}): Promise<string> {
  let all = '';
  for await (const { text } of readLogs(path, { hasEnded: () => true, ...options })) all += text;
  return all;
}

it('reads rotated files before the current, by their numbers', async () => {
  for (const number of [1, 2, 10]) writeFileSync(`${path}.${String(number)}`, line(`${String(number)}\n`));
  writeFileSync(`${path}.1.gz`, 'no log');
  writeFileSync(path, line('current\n'));
  expect(await read()).toBe('10\n2\n1\ncurrent\n');
});

it('keeps to the last lines, pieces of one counting as one', async () => {
  writeFileSync(path, ['one\n', 'tw', 'o\n', 'thr', 'ee\n', 'half'].map((text) => line(text)).join(''));
  expect(await read({ tail: 1 })).toBe('half');
  expect(await read({ tail: 2 })).toBe('three\nhalf');
  expect(await read({ tail: 3 })).toBe('two\nthree\nhalf');
  expect(await read({ tail: 100 })).toBe('one\ntwo\nthree\nhalf');
  expect(await read({ tail: 0 })).toBe('');
});

it('keeps to a span of time', async () => {
  writeFileSync(path, [1, 2, 3, 4].map((second) => line(`${String(second)}\n`, second)).join(''));
  const at = (second: number): Date => new Date(`2026-01-01T00:00:0${String(second)}Z`);
  expect(await read({ since: at(2), until: at(4) })).toBe('2\n3\n4\n');
  expect(await read({ since: at(4), tail: 9 })).toBe('4\n');
});

it('passes over what a crash has cut off, and takes characters that span chunks', async () => {
  const long = 'ä'.repeat(70_000);
  writeFileSync(path, `${line('whole\n')}{"log":"cut`);
  expect(await read()).toBe('whole\n');
  writeFileSync(path, `not json\n${line(long)}\n${line('after\n')}`);
  expect(await read()).toBe(`${long}after\n`);
});

it('follows until the end, through several rotations at once', async () => {
  writeFileSync(path, line('1\n'));
  let looks = 0;
  const hasEnded = (): boolean => {
    looks += 1;
    if (looks === 1) appendFileSync(path, line('2\n'));
    if (looks === 2) {
      appendFileSync(path, line('3\n'));
      renameSync(path, `${path}.2`);
      writeFileSync(`${path}.1`, line('4\n'));
      writeFileSync(path, line('5\n'));
    }
    return looks > 3;
  };
  expect(await read({ follow: true, hasEnded })).toBe('1\n2\n3\n4\n5\n');
});

it('ends where its time is over, or its reader gives up', async () => {
  writeFileSync(path, line('1\n'));
  expect(await read({ follow: true, hasEnded: () => false, until: new Date(0) })).toBe('');
  await expect(read({ follow: true, hasEnded: () => false, signal: AbortSignal.timeout(20) })).rejects.toThrow(
    'aborted',
  );
});

it('says so where there is no log to follow', async () => {
  await expect(read({ hasEnded: () => false })).rejects.toThrow('configured logging driver does not support reading');
  expect(await read()).toBe('');
});
