import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { owned, temporaryDirectory, thrownBy } from '../test/temporary-directory.ts';
import * as sys from './file.ts';

const S_IFIFO = 0o010000;

describe('openat2', () => {
  const resolve = sys.RESOLVE_IN_ROOT;

  it.each(['secret', '../secret', '/secret', '../../../../secret', 'up/secret', 'absolute', 'relative'])(
    'keeps %s below the root',
    (name) => {
      using dir = temporaryDirectory();
      mkdirSync(dir.at('root'));
      writeFileSync(dir.at('secret'), 'outside');
      writeFileSync(dir.at('root/secret'), 'inside');
      symlinkSync('..', dir.at('root/up'));
      symlinkSync('/secret', dir.at('root/absolute'));
      symlinkSync('../../secret', dir.at('root/relative'));
      using root = owned(sys.openat2(dir.fd, 'root', { flags: sys.O_PATH }));
      using file = owned(sys.openat2(root.fd, name, { flags: 0, resolve }));
      expect(readFileSync(file.fd, 'utf8')).toBe('inside');
    },
  );

  it('refuses to leave with RESOLVE_BENEATH and to follow with RESOLVE_NO_SYMLINKS', () => {
    using dir = temporaryDirectory();
    symlinkSync('nowhere', dir.at('link'));
    const open = (name: string, flag: number): unknown =>
      thrownBy(() => sys.openat2(dir.fd, name, { flags: 0, resolve: flag }));
    expect(open('..', sys.RESOLVE_BENEATH)).toMatchObject({ code: 'EXDEV' });
    expect(open('link', sys.RESOLVE_NO_SYMLINKS)).toMatchObject({ code: 'ELOOP' });
  });

  it('creates with a mode, and closes on exec', () => {
    using dir = temporaryDirectory();
    using file = owned(sys.openat2(dir.fd, 'new', { flags: constants.O_CREAT, mode: 0o640 }));
    expect(statSync(dir.at('new')).mode & 0o777).toBe(0o640);
    expect(sys.fcntl(file.fd, sys.F_GETFD)).toBe(1);
  });
});

describe('names in directories', () => {
  it('may have bytes that are not UTF-8, or any character', () => {
    using dir = temporaryDirectory();
    for (const [name, hex] of [
      ['ä€😀', 'c3a4e282acf09f9880'],
      ['a\udcffb', '61ff62'],
      ['\udced\udcb2\udc80', 'edb280'],
      ['\udcc0\udcaf', 'c0af'],
      ['\udcf0\udc9f', 'f09f'],
    ] as const) {
      sys.symlinkat(`to ${name}`, dir.fd, name);
      const path = Buffer.concat([Buffer.from(`${dir.path}/`), Buffer.from(hex, 'hex')]);
      expect(readlinkSync(path, 'buffer').toString('hex')).toBe(`746f20${hex}`);
      expect(sys.readlinkat(dir.fd, name)).toBe(`to ${name}`);
    }
    writeFileSync(dir.at('file'), '');
    sys.setxattr(dir.at('file'), 'user.\udcff', Buffer.from('x'));
    expect(sys.llistxattr(dir.at('file'))).toEqual(['user.\udcff']);
  });

  it('keeps times of any century', () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('file'), '');
    for (const ns of [-1n, 0n, -2_147_483_648_000_000_000n, 10_413_792_000_999_999_999n]) {
      sys.utimensat(dir.fd, 'file', { atimeNs: ns, mtimeNs: ns }, 0);
      expect(sys.statx(dir.fd, 'file', 0)).toMatchObject({ atimeNs: ns, mtimeNs: ns });
    }
  });

  it('makes, links, renames and removes', () => {
    using dir = temporaryDirectory();
    sys.mkdirat(dir.fd, 'dir', 0o700);
    sys.mknodat(dir.fd, 'fifo', S_IFIFO | 0o600);
    sys.symlinkat('dir', dir.fd, 'link');
    sys.linkat(dir.fd, 'fifo', dir.fd, 'dir/second', 0);
    expect(lstatSync(dir.at('fifo'))).toMatchObject({ nlink: 2, ino: lstatSync(dir.at('dir/second')).ino });
    expect(lstatSync(dir.at('fifo')).isFIFO()).toBe(true);
    expect(sys.readlinkat(dir.fd, 'link')).toBe('dir');

    sys.renameat2(dir.fd, 'fifo', dir.fd, 'link', sys.RENAME_EXCHANGE);
    expect(readlinkSync(dir.at('fifo'))).toBe('dir');
    expect(
      thrownBy(() => {
        sys.renameat2(dir.fd, 'fifo', dir.fd, 'link', sys.RENAME_NOREPLACE);
      }),
    ).toMatchObject({ code: 'EEXIST' });

    sys.unlinkat(dir.fd, 'dir/second', 0);
    sys.unlinkat(dir.fd, 'dir', sys.AT_REMOVEDIR);
    expect(lstatSync(dir.at('link')).nlink).toBe(1);
    expect(lstatSync(dir.at('dir'), { throwIfNoEntry: false })).toBeUndefined();
  });

  it('reads a link of any length', () => {
    using dir = temporaryDirectory();
    for (const length of [1, 255, 256, 257, 4095]) {
      const target = 'é'.repeat(length >> 1).padEnd(length - (length >> 1), 'x');
      sys.symlinkat(target, dir.fd, 'link');
      expect(sys.readlinkat(dir.fd, 'link')).toBe(target);
      sys.unlinkat(dir.fd, 'link', 0);
    }
  });
});

describe('attributes of files', () => {
  it('tells and sets them, on the file behind a descriptor too', () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('file'), 'twelve bytes');
    using file = owned(sys.openat2(dir.fd, 'file', { flags: sys.O_PATH }));
    sys.fchmodat(file.fd, '', 0o4711, sys.AT_EMPTY_PATH);
    sys.utimensat(dir.fd, 'file', { atimeNs: -1n, mtimeNs: 1_500_000_000_123_456_789n }, 0);
    sys.fchownat(file.fd, '', process.getuid?.() ?? 0, -1, sys.AT_EMPTY_PATH);
    const node = statSync(dir.at('file'), { bigint: true });
    expect(node.atimeNs).toBe(-1n);
    expect(node.mtimeNs).toBe(1_500_000_000_123_456_789n);

    const stat = sys.statx(file.fd, '', sys.AT_EMPTY_PATH);
    expect({ ...stat }).toMatchObject({
      mode: Number(node.mode),
      nlink: 1,
      uid: Number(node.uid),
      gid: Number(node.gid),
      ino: node.ino,
      size: 12,
      blocks: Number(node.blocks),
      atimeNs: -1n,
      mtimeNs: node.mtimeNs,
      ctimeNs: node.ctimeNs,
      rdevMajor: 0,
      rdevMinor: 0,
    });
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toMatch(new RegExp(`^${String(stat.mountId)} `, 'm'));
  });

  it('changes a link and not what it points to', () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('file'), '');
    symlinkSync('file', dir.at('link'));
    const before = statSync(dir.at('file'), { bigint: true }).mtimeNs;
    sys.utimensat(dir.fd, 'link', { atimeNs: 1n, mtimeNs: 2n }, sys.AT_SYMLINK_NOFOLLOW);
    expect(lstatSync(dir.at('link'), { bigint: true }).mtimeNs).toBe(2n);
    expect(statSync(dir.at('file'), { bigint: true }).mtimeNs).toBe(before);
    expect(
      thrownBy(() => {
        sys.fchmodat(dir.fd, 'link', 0o600, sys.AT_SYMLINK_NOFOLLOW);
      }),
    ).toMatchObject({ code: 'EOPNOTSUPP' });
  });

  it('tells devices and file systems apart', () => {
    expect(sys.statx(sys.AT_FDCWD, '/dev/null', 0)).toMatchObject({ rdevMajor: 1, rdevMinor: 3 });
    using proc = owned(sys.openat2(sys.AT_FDCWD, '/proc', { flags: sys.O_PATH }));
    expect(sys.fstatfsType(proc.fd)).toBe(0x9fa0);
  });

  it('keeps extended attributes of any size, by path and by descriptor', () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('file'), '');
    const path = dir.at('file');
    using file = owned(sys.openat2(dir.fd, 'file', { flags: 0 }));
    const large = Buffer.alloc(2000, 'large');
    expect(sys.flistxattr(file.fd)).toHaveLength(0);
    sys.setxattr(path, 'user.one', Buffer.from('1'));
    sys.lsetxattr(path, 'user.two', new Uint8Array());
    sys.fsetxattr(file.fd, 'user.three', large);
    expect(sys.getxattr(path, 'user.one').toString()).toBe('1');
    expect(sys.lgetxattr(path, 'user.two')).toHaveLength(0);
    expect(sys.fgetxattr(file.fd, 'user.three').equals(large)).toBe(true);
    expect([...sys.llistxattr(path)].sort()).toEqual(['user.one', 'user.three', 'user.two']);
    sys.lremovexattr(path, 'user.one');
    expect(thrownBy(() => sys.getxattr(path, 'user.one'))).toMatchObject({ code: 'ENODATA', path });
    expect(
      thrownBy(() => {
        sys.setxattr(path, 'user.two', large, 1);
      }),
    ).toMatchObject({ code: 'EEXIST' });
  });
});

describe('open files', () => {
  it('seals a memory file', () => {
    using file = owned(sys.memfd_create('sealed', sys.MFD_ALLOW_SEALING));
    writeFileSync(file.fd, 'content');
    sys.fcntl(file.fd, sys.F_ADD_SEALS, sys.F_SEAL_ALL);
    expect(thrownBy(() => writeFileSync(file.fd, 'other'))).toMatchObject({ code: 'EPERM' });
    expect(sys.fcntl(file.fd, sys.F_GETFD)).toBe(1);
    expect(readFileSync(`/proc/self/fd/${String(file.fd)}`, 'utf8')).toBe('content');
  });

  it('locks out other descriptors', () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('lock'), '');
    const first = sys.openat2(dir.fd, 'lock', { flags: 0 });
    using second = owned(sys.openat2(dir.fd, 'lock', { flags: 0 }));
    const lockSecond = (): void => {
      sys.flock(second.fd, sys.LOCK_EX | sys.LOCK_NB);
    };
    sys.flock(first, sys.LOCK_EX | sys.LOCK_NB);
    expect(thrownBy(lockSecond)).toMatchObject({ code: 'EAGAIN', syscall: 'flock' });
    sys.flock(first, sys.LOCK_UN);
    lockSecond();
    closeSync(first);
  });

  it('copies in the kernel up to the end', () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('from'), 'some bytes');
    using from = owned(sys.openat2(dir.fd, 'from', { flags: 0 }));
    using to = owned(sys.openat2(dir.fd, 'to', { flags: 0o102, mode: 0o600 }));
    expect(sys.copy_file_range(from.fd, to.fd, 4)).toBe(4);
    expect(sys.copy_file_range(from.fd, to.fd, 2 ** 40)).toBe(6);
    expect(sys.copy_file_range(from.fd, to.fd, 4)).toBe(0);
    expect(readFileSync(dir.at('to'), 'utf8')).toBe('some bytes');
  });
});
