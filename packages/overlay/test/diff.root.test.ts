import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { expect, it } from '@jest/globals';

import { AT_FDCWD, lsetxattr, utimensat } from '@tsc/sys';

import { describeRoot } from '../../../test/root.ts';
import {
  createSnapshot,
  createWhiteout,
  diffUpper,
  isWhiteout,
  markOpaque,
  mountOverlay,
  opacityOf,
  type DiffOptions,
} from '../src/index.ts';
import { Layers } from './layers.ts';

const letters = { added: 'A', modified: 'C', deleted: 'D' } as const;
const listOf = (upperDir: string, options?: DiffOptions): string[] =>
  [...diffUpper(upperDir, options)].map(({ type, path }) => `${letters[type]} ${path}`);

interface Scene {
  readonly lower?: Readonly<Record<string, string>>;
  /** Makes changes below the root of the mount. */
  readonly act: (root: string) => void;
  readonly userxattr?: boolean;
}

/** The changes that `act` makes: with the layers known, and by the file system's marks alone. */
function changesOf({ lower = {}, act, userxattr }: Scene): { known: string[]; marked: string[] } {
  using layers = new Layers();
  const lowerDirs = [layers.layer('top', lower), layers.layer('base', { 'base/file': '', 'base/other': '' })];
  const { upperDir, workDir } = createSnapshot(layers.path('snapshot'));
  using mount = mountOverlay({ lowerDirs, upperDir, workDir, userxattr });
  act(`/proc/self/fd/${mount.fd}`);
  return { known: listOf(upperDir, { lowerDirs, userxattr }), marked: listOf(upperDir, { userxattr }) };
}

describeRoot('diffUpper', () => {
  it('finds nothing where nothing was done', () => {
    expect(changesOf({ act: () => undefined })).toEqual({ known: [], marked: [] });
  });

  it('tells of new, changed and deleted files, and of the directories above them', () => {
    const { known, marked } = changesOf({
      lower: { 'etc/conf': 'old', 'etc/old': '', 'var/lib/x/file': '' },
      act: (root) => {
        mkdirSync(`${root}/new/deep`, { recursive: true });
        writeFileSync(`${root}/new/deep/file`, '');
        writeFileSync(`${root}/etc/conf`, 'new');
        rmSync(`${root}/etc/old`);
        writeFileSync(`${root}/var/lib/x/file`, 'new');
        symlinkSync('conf', `${root}/etc/link`);
      },
    });
    expect(known).toEqual([
      'C /etc',
      'C /etc/conf',
      'A /etc/link',
      'D /etc/old',
      'A /new',
      'A /new/deep',
      'A /new/deep/file',
      'C /var',
      'C /var/lib',
      'C /var/lib/x',
      'C /var/lib/x/file',
    ]);
    expect(marked).toEqual(known);
  });

  it('says of a deleted directory its name alone', () => {
    const act = (root: string): void => rmSync(`${root}/base`, { recursive: true });
    expect(changesOf({ act }).known).toEqual(['D /base']);
  });

  it('says nothing of what came and went', () => {
    const act = (root: string): void => {
      const { atimeNs, mtimeNs } = lstatSync(`${root}/base`, { bigint: true });
      writeFileSync(`${root}/base/new`, '');
      rmSync(`${root}/base/new`);
      utimensat(AT_FDCWD, `${root}/base`, { atimeNs, mtimeNs }, 0);
    };
    expect(changesOf({ act }).known).toEqual([]);
  });

  it('tells of a directory that changed itself, and of no other', () => {
    const act = (root: string): void => chmodSync(`${root}/base`, 0o700);
    expect(changesOf({ act }).known).toEqual(['C /base']);
  });

  it('takes a directory made anew for a change that deletes what is not in it again', () => {
    const act = (root: string): void => {
      rmSync(`${root}/dir`, { recursive: true });
      mkdirSync(`${root}/dir/sub`, { recursive: true });
      writeFileSync(`${root}/dir/kept`, '');
      writeFileSync(`${root}/dir/new`, '');
    };
    const lower = { 'dir/kept': '', 'dir/lost': '', 'dir/sub/lost': '' };
    expect(changesOf({ lower, act }).known).toEqual([
      'C /dir',
      'C /dir/kept',
      'D /dir/lost',
      'A /dir/new',
      'C /dir/sub',
      'D /dir/sub/lost',
    ]);
  });

  it('takes another kind of file under the same name for a change', () => {
    const act = (root: string): void => {
      rmSync(`${root}/file`);
      mkdirSync(`${root}/file`);
      writeFileSync(`${root}/file/inside`, '');
      rmSync(`${root}/dir`, { recursive: true });
      writeFileSync(`${root}/dir`, '');
    };
    const lower = { file: '', 'dir/inside': '' };
    expect(changesOf({ lower, act }).known).toEqual(['C /dir', 'C /file', 'A /file/inside']);
  });

  it('tells a replaced file from a new one only where it knows the layers', () => {
    const act = (root: string): void => {
      writeFileSync(`${root}/base/.file.tmp`, 'new');
      renameSync(`${root}/base/.file.tmp`, `${root}/base/file`);
    };
    expect(changesOf({ act })).toEqual({ known: ['C /base', 'C /base/file'], marked: ['C /base', 'A /base/file'] });
  });

  it('counts a new name of an old file as new', () => {
    const act = (root: string): void => linkSync(`${root}/base/file`, `${root}/base/again`);
    expect(changesOf({ act }).known).toEqual(['C /base', 'A /base/again', 'C /base/file']);
  });

  it('reads the marks where userxattr puts them', () => {
    const scene = {
      lower: { 'dir/lost': '', conf: '' },
      userxattr: true,
      act: (root: string): void => {
        rmSync(`${root}/dir`, { recursive: true });
        mkdirSync(`${root}/dir`);
        writeFileSync(`${root}/conf`, 'new');
      },
    };
    expect(changesOf(scene).known).toEqual(['C /conf', 'C /dir', 'D /dir/lost']);
    expect(changesOf(scene).marked).toEqual(['C /conf', 'A /dir']);
  });

  it('is not deceived by marks that a container sets itself', () => {
    const act = (root: string): void => {
      writeFileSync(`${root}/base/file`, '');
      lsetxattr(`${root}/base`, 'user.overlay.opaque', Buffer.from('y'));
    };
    expect(changesOf({ act }).known).toEqual(['C /base', 'C /base/file']);
  });

  it('knows what layers hide from each other', () => {
    using layers = new Layers();
    const top = layers.layer('top', { 'opaque/': '', 'file/inside': '' });
    const middle = layers.layer('middle', { 'opaque/middle': '', 'gone/': '' });
    const base = layers.layer('base', { 'opaque/base': '', removed: '', file: '' });
    const topFd = openSync(top, 'r');
    createWhiteout(topFd, 'removed');
    closeSync(topFd);
    const opaqueFd = openSync(join(middle, 'opaque'), 'r');
    markOpaque(opaqueFd);
    expect(opacityOf(opaqueFd)).toBe('y');
    closeSync(opaqueFd);
    expect(isWhiteout(lstatSync(join(top, 'removed'), { bigint: true }))).toBe(true);
    const { upperDir, workDir } = createSnapshot(layers.path('snapshot'));
    const lowerDirs = [top, middle, base];
    using mount = mountOverlay({ lowerDirs, upperDir, workDir });
    const root = `/proc/self/fd/${mount.fd}`;
    expect(readdirSync(`${root}/opaque`)).toEqual(['middle']);
    for (const path of ['removed', 'opaque/middle', 'opaque/base', 'file/inside'])
      writeFileSync(`${root}/${path}`, 'new');
    expect(listOf(upperDir, { lowerDirs })).toEqual([
      'C /file',
      'C /file/inside',
      'C /opaque',
      'A /opaque/base',
      'C /opaque/middle',
      'A /removed',
    ]);
  });

  it('reads the whiteouts of an overlay that was written on another overlay', () => {
    using layers = new Layers();
    const base = layers.layer('base', { 'dir/gone': '', 'dir/empty': '' });
    const upperDir = layers.layer('upper', { 'dir/gone': '', 'dir/empty': '', 'plain/file': '' });
    lsetxattr(join(upperDir, 'dir'), 'trusted.overlay.opaque', Buffer.from('x'));
    for (const path of ['dir/gone', 'plain/file']) {
      lsetxattr(join(upperDir, path), 'trusted.overlay.whiteout', Buffer.from('y'));
    }
    using mount = mountOverlay({ lowerDirs: [upperDir, base] });
    expect(readdirSync(`/proc/self/fd/${mount.fd}/dir`)).toEqual(['empty']);
    expect(listOf(upperDir, { lowerDirs: [base] })).toEqual([
      'C /dir',
      'C /dir/empty',
      'D /dir/gone',
      'A /plain',
      'A /plain/file',
    ]);
  });

  it('follows no link out of the directory, in names of any bytes', () => {
    using layers = new Layers();
    const base = layers.layer('base', { 'dir/file': '' });
    const upperDir = layers.layer('upper', { 'a b\nc/file': '' });
    symlinkSync('/etc', join(upperDir, 'dir'));
    symlinkSync('/etc', join(upperDir, 'link'));
    const odd = Buffer.concat([Buffer.from(`${upperDir}/`), Buffer.from([0x66, 0xff, 0xfe])]);
    mkdirSync(odd);
    writeFileSync(Buffer.concat([odd, Buffer.from('/file')]), '');
    expect(listOf(upperDir, { lowerDirs: [base] })).toEqual([
      'A /a b\nc',
      'A /a b\nc/file',
      'C /dir',
      'A /f\u{fffd}\u{fffd}',
      'A /f\u{fffd}\u{fffd}/file',
      'A /link',
    ]);
  });

  it('closes what is open when the loop is left early', () => {
    using layers = new Layers();
    const upperDir = layers.layer('upper', { 'a/b/c/d': '', 'a/b/c/e': '' });
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    for (const { path } of diffUpper(upperDir, { lowerDirs: [layers.layer('base', { 'a/b/': '' })] })) {
      if (path !== '/a/b/c/d') continue;
      expect(descriptors()).toBeGreaterThan(before);
      break;
    }
    expect(descriptors()).toBe(before);
  });

  it('goes on when the container takes something away meanwhile', () => {
    using layers = new Layers();
    const upperDir = layers.layer('upper', { a: '', 'b/c': '', d: '' });
    const found: string[] = [];
    for (const { path } of diffUpper(upperDir, { lowerDirs: [] })) {
      if (found.push(path) === 1) rmSync(join(upperDir, 'b'), { recursive: true });
    }
    expect(found).toEqual(['/a', '/d']);
  });

  it('says which directory is missing', () => {
    using layers = new Layers();
    const path = layers.path('nowhere');
    const missing = expect.objectContaining({ code: 'OVERLAY_DIR_MISSING', path });
    expect(() => listOf(path)).toThrow(missing);
    expect(() => listOf(layers.layer('upper'), { lowerDirs: [path] })).toThrow(missing);
  });
});
