import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { createSnapshot } from './snapshot.ts';

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

describe('createSnapshot', () => {
  let base: string;
  let umask: number;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'snapshot-'));
    umask = process.umask(0o077);
  });
  afterEach(() => {
    process.umask(umask);
    rmSync(base, { recursive: true });
  });

  it('makes a root that anybody may enter, in a directory that nobody else may', () => {
    const dir = join(base, 'new');
    const snapshot = createSnapshot(dir);
    expect(snapshot).toEqual({ upperDir: join(dir, 'upper'), workDir: join(dir, 'work') });
    expect([dir, snapshot.upperDir, snapshot.workDir].map(modeOf)).toEqual(['700', '755', '700']);
  });

  it('gives the root the mode and owner of the image', () => {
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const { upperDir } = createSnapshot(base, { mode: 0o1777, owner });
    expect(modeOf(upperDir)).toBe('1777');
    expect(statSync(upperDir)).toMatchObject(owner);
  });

  it('refuses to take over another snapshot, and leaves no half of one', () => {
    mkdirSync(join(base, 'work'));
    expect(() => createSnapshot(base)).toThrow(
      expect.objectContaining({ code: 'OVERLAY_DIR_EXISTS', path: join(base, 'work') }),
    );
    expect(readdirSync(base)).toEqual(['work']);
  });

  it('does not make the way to it', () => {
    expect(() => createSnapshot(join(base, 'a', 'b'))).toThrow(
      expect.objectContaining({ code: 'OVERLAY_DIR_MISSING' }),
    );
  });
});
