import { fstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { owned, temporaryDirectory, thrownBy } from '../test/temporary-directory.ts';
import { readCached } from './read-cached.ts';

describe('readCached', () => {
  it('reads what was written a moment ago', () => {
    using dir = temporaryDirectory();
    const path = join(dir.path, 'file');
    for (const text of ['', 'short', 'x'.repeat(100_000)]) {
      writeFileSync(path, text);
      readFileSync(path);
      expect(String(readCached(path, 100_000))).toBe(text);
    }
  });

  it('opens what is larger', () => {
    using dir = temporaryDirectory();
    const path = join(dir.path, 'file');
    writeFileSync(path, '12345');
    const fd = readCached(path, 4);
    expect(typeof fd).toBe('number');
    using file = owned(Number(fd));
    expect(fstatSync(file.fd).size).toBe(5);
  });

  it('leaves what is no regular file to others, and follows no link', () => {
    using dir = temporaryDirectory();
    const path = join(dir.path, 'a');
    mkdirSync(path);
    expect(readCached(path, 100)).toBeUndefined();
    symlinkSync('a', join(dir.path, 'link'));
    expect(thrownBy(() => readCached(join(dir.path, 'link'), 100))).toMatchObject({ code: 'ELOOP' });
  });

  it('says that nothing is there, where the kernel knows', () => {
    using dir = temporaryDirectory();
    const path = join(dir.path, 'gone');
    writeFileSync(path, '');
    rmSync(path);
    expect(() => readFileSync(path)).toThrow();
    let answer: unknown;
    try {
      answer = readCached(path, 100);
    } catch (error) {
      answer = (error as { code: string }).code;
    }
    expect([undefined, 'ENOENT']).toContain(answer);
  });
});
