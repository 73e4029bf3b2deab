import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { ProgressFile } from './progress-file.ts';

const MIB = 1024 ** 2;

const withFile = async (act: (path: string) => Promise<void>): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'tsc-progress-'));
  try {
    await act(join(dir, 'progress'));
  } finally {
    rmSync(dir, { recursive: true });
  }
};

describe('the progress of a download', () => {
  it('is read again as far as it was written, which is at most a MiB behind', async () => {
    await withFile(async (path) => {
      await using first = await ProgressFile.open(path, 40 * MIB);
      expect([first.chunks.length, first.resumed]).toEqual([3, false]);
      await first.add(0, 3 * MIB);
      await first.add(3 * MIB, MIB / 2);
      await first.add(31 * MIB, 2 * MIB);
      {
        // As after a kill.
        await using seen = await ProgressFile.open(path, 40 * MIB);
        expect([seen.counts, seen.bytes, seen.resumed]).toEqual([[3 * MIB, MIB, MIB], 5 * MIB, true]);
      }
      await first[Symbol.asyncDispose]().catch(() => undefined);
      await using last = await ProgressFile.open(path, 40 * MIB);
      expect(last.counts).toEqual([3.5 * MIB, MIB, MIB]);
    });
  });

  it.each([
    ['of another size', (text: string) => text.replace(String(40 * MIB), String(41 * MIB))],
    ['cut', (text: string) => text.slice(0, -4)],
    ['of no use', () => 'nonsense'],
    ['of more than there can be', (text: string) => text.replace(/0{16}/, '9'.repeat(16))],
  ])('begins anew when the file is %s', async (_name, spoil) => {
    await withFile(async (path) => {
      {
        await using first = await ProgressFile.open(path, 40 * MIB);
        await first.add(20 * MIB, 10 * MIB);
      }
      writeFileSync(path, spoil(readFileSync(path, 'latin1')));
      await using again = await ProgressFile.open(path, 40 * MIB);
      expect([again.resumed, again.counts]).toEqual([false, [0, 0, 0]]);
    });
  });
});
