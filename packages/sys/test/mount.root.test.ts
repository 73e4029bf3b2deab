import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import * as sys from '../src/index.ts';
import { owned, temporaryDirectory, thrownBy } from './temporary-directory.ts';

const S_IFCHR = 0o020000;
const pathOf = (fd: number): string => `/proc/self/fd/${String(fd)}`;
const mountinfo = (): string => readFileSync('/proc/self/mountinfo', 'utf8');

/** A tmpfs that is mounted nowhere. */
function detachedTmpfs(attributes: number = 0): Disposable & { readonly fd: number } {
  using context = owned(sys.fsopen('tmpfs'));
  sys.fsconfig(context.fd, sys.FSCONFIG_SET_STRING, 'size', '1m');
  sys.fsconfig(context.fd, sys.FSCONFIG_CMD_CREATE);
  return owned(sys.fsmount(context.fd, 0, attributes));
}

describeRoot('a new file system', () => {
  it('is usable below its descriptor, and seen nowhere else', () => {
    const before = mountinfo();
    using mount = detachedTmpfs();
    sys.mkdirat(mount.fd, 'dir', 0o755);
    writeFileSync(`${pathOf(mount.fd)}/dir/file`, 'content');
    expect(mountinfo()).toBe(before);
    expect(sys.fstatfsType(mount.fd)).toBe(0x01021994);
    expect(sys.statx(mount.fd, 'dir/file', 0).size).toBe(7);
    expect(sys.fcntl(mount.fd, sys.F_GETFD)).toBe(1);
  });

  it('is moved to a directory, and unmounted', () => {
    using dir = temporaryDirectory();
    using mount = detachedTmpfs();
    mkdirSync(dir.at('here'));
    writeFileSync(`${pathOf(mount.fd)}/file`, 'content');
    sys.move_mount(mount.fd, '', dir.fd, 'here', sys.MOVE_MOUNT_F_EMPTY_PATH);
    expect(readFileSync(dir.at('here/file'), 'utf8')).toBe('content');
    expect(
      thrownBy(() => {
        sys.umount2(dir.at('here'), 0);
      }),
    ).toMatchObject({ code: 'EBUSY', path: dir.at('here') });
    sys.umount2(dir.at('here'), sys.MNT_DETACH);
    expect(readdirSync(dir.at('here'))).toEqual([]);
  });

  it('is refused with what the kernel explains', () => {
    using context = owned(sys.fsopen('tmpfs'));
    expect(
      thrownBy(() => {
        sys.fsconfig(context.fd, sys.FSCONFIG_SET_STRING, 'mode', 'nonsense');
      }),
    ).toMatchObject({
      code: 'EINVAL',
      syscall: 'fsconfig',
      path: 'mode',
      message: "fsconfig mode: EINVAL: invalid argument: tmpfs: Bad value for 'mode'",
    });
    expect(thrownBy(() => sys.fsmount(context.fd, 0, 0))).toMatchObject({ code: 'EINVAL', syscall: 'fsmount' });
    expect(thrownBy(() => sys.fsopen('nosuchfs'))).toMatchObject({ code: 'ENODEV', path: 'nosuchfs' });
  });
});

describeRoot('a mount', () => {
  it('changes its attributes', () => {
    using mount = detachedTmpfs(sys.MOUNT_ATTR_NOEXEC);
    const write = (): void => {
      writeFileSync(`${pathOf(mount.fd)}/file`, '');
    };
    write();
    sys.mount_setattr(mount.fd, '', sys.AT_EMPTY_PATH, { attrSet: sys.MOUNT_ATTR_RDONLY });
    expect(thrownBy(write)).toMatchObject({ code: 'EROFS' });
    sys.mount_setattr(mount.fd, '', sys.AT_EMPTY_PATH | sys.AT_RECURSIVE, { attrClr: sys.MOUNT_ATTR_RDONLY });
    write();
    expect(
      thrownBy(() => {
        sys.mount_setattr(mount.fd, '', sys.AT_EMPTY_PATH, { attrSet: 2 ** 40 });
      }),
    ).toMatchObject({ code: 'EINVAL', syscall: 'mount_setattr' });
  });

  it('is cloned from a tree', () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('file'), 'seen twice');
    using tree = owned(sys.open_tree(dir.fd, '', sys.OPEN_TREE_CLONE | sys.AT_EMPTY_PATH));
    sys.mount_setattr(tree.fd, '', sys.AT_EMPTY_PATH, { attrSet: sys.MOUNT_ATTR_RDONLY });
    expect(readFileSync(`${pathOf(tree.fd)}/file`, 'utf8')).toBe('seen twice');
    expect(thrownBy(() => sys.openat2(tree.fd, 'file', { flags: 1 }))).toMatchObject({ code: 'EROFS', path: 'file' });
    expect(sys.statx(tree.fd, 'file', 0).mountId).not.toBe(sys.statx(dir.fd, 'file', 0).mountId);
  });

  it('is made and changed the old way', () => {
    using dir = temporaryDirectory();
    sys.mount('tsc-test', dir.path, 'tmpfs', sys.MS_NOSUID, 'size=1m,mode=700');
    try {
      expect(mountinfo()).toMatch(new RegExp(` ${dir.path} rw,nosuid,.* - tmpfs tsc-test `));
      sys.mount(null, dir.path, null, sys.MS_REMOUNT | sys.MS_BIND | sys.MS_RDONLY, null);
      expect(mountinfo()).toMatch(new RegExp(` ${dir.path} ro,`));
    } finally {
      sys.umount2(dir.path, sys.UMOUNT_NOFOLLOW);
    }
    expect(existsSync(dir.path)).toBe(true);
    expect(mountinfo()).not.toContain(dir.path);
  });

  it('is not made the root when it is not there', () => {
    expect(
      thrownBy(() => {
        sys.pivot_root('/nowhere/new', '/nowhere/old');
      }),
    ).toMatchObject({ code: 'ENOENT', syscall: 'pivot_root', path: '/nowhere/new' });
  });
});

describeRoot('mknodat', () => {
  it('makes devices, with numbers past eight bits', () => {
    using mount = detachedTmpfs();
    sys.mknodat(mount.fd, 'null', S_IFCHR | 0o666, { major: 1, minor: 3 });
    sys.mknodat(mount.fd, 'large', S_IFCHR | 0o600, { major: 4000, minor: 1_000_000 });
    expect(lstatSync(`${pathOf(mount.fd)}/null`).isCharacterDevice()).toBe(true);
    expect(sys.statx(mount.fd, 'null', 0)).toMatchObject({ rdevMajor: 1, rdevMinor: 3 });
    expect(sys.statx(mount.fd, 'large', 0)).toMatchObject({ rdevMajor: 4000, rdevMinor: 1_000_000 });
    expect(readFileSync(`${pathOf(mount.fd)}/null`, 'utf8')).toBe('');
  });
});

describeRoot('fchownat', () => {
  it('changes owners past 2³¹, and one without the other', () => {
    using mount = detachedTmpfs();
    sys.mkdirat(mount.fd, 'dir', 0o755);
    sys.fchownat(mount.fd, 'dir', 4_000_000_000, 7, 0);
    sys.fchownat(mount.fd, 'dir', -1, 8, 0);
    expect(sys.statx(mount.fd, 'dir', 0)).toMatchObject({ uid: 4_000_000_000, gid: 8 });
  });
});
