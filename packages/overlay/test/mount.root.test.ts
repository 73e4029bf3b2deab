import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { RESOLVE_IN_ROOT, getxattr, openat2, spawn, waitid, P_PIDFD, WEXITED, __WALL } from '@tsc/sys';
import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { createSnapshot, forgetVolatile, mountOverlay, probeOverlay, type OverlayMount } from '../src/index.ts';
import { Layers } from './layers.ts';

const below = ({ fd }: OverlayMount, path: string): string => `/proc/self/fd/${fd}/${path}`;
const read = (mount: OverlayMount, path: string): string => readFileSync(below(mount, path), 'utf8');
const mountTable = (): string => readFileSync('/proc/self/mountinfo', 'utf8');
const errorOf = (fn: () => unknown): unknown => {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

describeRoot('an overlay mount', () => {
  it('shows the topmost of each name, and is in no mount table', () => {
    using layers = new Layers();
    const before = mountTable();
    using mount = mountOverlay({
      lowerDirs: [layers.layer('top', { both: 'top' }), layers.layer('base', { both: 'base', one: 'base' })],
    });
    expect(read(mount, 'both') + read(mount, 'one')).toBe('topbase');
    expect(mountTable()).toBe(before);
  });

  it('takes 250 layers, far more than a page of options holds', () => {
    using layers = new Layers();
    const names = Array.from({ length: 250 }, (_, i) => `${'long-'.repeat(20)}${i}`);
    const lowerDirs = names.map((name, i) => layers.layer(name, { [`file-${i}`]: '', top: String(i) }));
    using mount = mountOverlay({ lowerDirs, ...createSnapshot(layers.path('snapshot')) });
    expect(readdirSync(below(mount, ''))).toHaveLength(251);
    expect(read(mount, 'top')).toBe('0');
  });

  it('sends writes to the upper directory and leaves the layers alone', () => {
    using layers = new Layers();
    const base = layers.layer('base', { 'etc/conf': 'old', gone: '' });
    const { upperDir, workDir } = createSnapshot(layers.path('snapshot'));
    using mount = mountOverlay({ lowerDirs: [base], upperDir, workDir });
    writeFileSync(below(mount, 'etc/conf'), 'new');
    rmSync(below(mount, 'gone'));
    expect(readFileSync(join(upperDir, 'etc/conf'), 'utf8')).toBe('new');
    expect(readFileSync(join(base, 'etc/conf'), 'utf8')).toBe('old');
    expect(statSync(join(upperDir, 'gone'))).toMatchObject({ rdev: 0, mode: 0o020000 });
    expect(readdirSync(base).sort()).toEqual(['etc', 'gone']);
  });

  it('is walked by openat2, which keeps a link of the image inside', () => {
    using layers = new Layers();
    const base = layers.layer('base', { 'etc/passwd': 'the container’s' });
    symlinkSync('/../../etc/passwd', join(base, 'escape'));
    using mount = mountOverlay({ lowerDirs: [base], ...createSnapshot(layers.path('snapshot')) });
    const fd = openat2(mount.fd, 'escape', { flags: 0, resolve: RESOLVE_IN_ROOT });
    expect(readFileSync(fd, 'utf8')).toBe('the container’s');
    closeSync(fd);
  });

  it('is handed to another process as a descriptor', () => {
    using layers = new Layers();
    using mount = mountOverlay({ lowerDirs: [layers.layer('a', { word: 'handed over' }), layers.layer('b')] });
    const executable = openSync('/bin/cp', 'r');
    using child = new DisposableStack();
    child.defer(() => {
      closeSync(executable);
    });
    const { pidfd } = spawn({
      executable,
      argv: ['cp', '/proc/self/fd/3/word', layers.path('copy')],
      fds: [0, 1, 2, mount.fd],
    });
    child.defer(() => {
      closeSync(pidfd);
    });
    expect(waitid(P_PIDFD, pidfd, WEXITED | __WALL)).toMatchObject({ status: 0 });
    expect(readFileSync(layers.path('copy'), 'utf8')).toBe('handed over');
  });

  it.each([
    ['without an upper directory', {}],
    ['when asked', { readOnly: true }],
  ])('is read-only %s', (_, { readOnly }: { readOnly?: boolean }) => {
    using layers = new Layers();
    const lowerDirs = [layers.layer('a'), layers.layer('b')];
    const snapshot = readOnly === true ? createSnapshot(layers.path('snapshot')) : {};
    using mount = mountOverlay({ lowerDirs, readOnly, ...snapshot });
    expect(errorOf(() => writeFileSync(below(mount, 'file'), ''))).toMatchObject({ code: 'EROFS' });
  });

  it('lets setuid programs work, as programs in containers expect', () => {
    using layers = new Layers();
    const base = layers.layer('base');
    copyFileSync('/usr/bin/id', join(base, 'id'));
    chmodSync(join(base, 'id'), 0o4755);
    using mount = mountOverlay({ lowerDirs: [base], ...createSnapshot(layers.path('snapshot')) });
    mkdirSync(layers.path('root'));
    mount.attach(layers.path('root'));
    for (const dir of [layers.dir, join(layers.dir, '..')]) chmodSync(dir, 0o755);
    expect(execFileSync(layers.path('root/id'), ['-u'], { uid: 65534, encoding: 'utf8' })).toBe('0\n');
  });

  it.each(['with:colon', 'with,comma', 'with\\backslash', 'x'.repeat(250), 'with space', 'ümlaut'])(
    'takes directories with any name: %s',
    (name) => {
      using layers = new Layers();
      const lowerDirs = [layers.layer(`${name}1`, { word: 'top' }), layers.layer(`${name}2`, { word: 'base' })];
      const { upperDir, workDir } = createSnapshot(layers.layer(name));
      for (const lowerdirPlus of [true, false]) {
        using mount = mountOverlay({ lowerDirs, upperDir, workDir }, { facts: { lowerdirPlus } });
        expect(read(mount, 'word')).toBe('top');
        writeFileSync(below(mount, 'written'), String(lowerdirPlus));
        expect(readFileSync(join(upperDir, 'written'), 'utf8')).toBe(String(lowerdirPlus));
      }
    },
  );

  it('keeps its marks in user attributes when told to', () => {
    using layers = new Layers();
    const base = layers.layer('base', { 'dir/file': '' });
    const { upperDir, workDir } = createSnapshot(layers.path('snapshot'));
    using mount = mountOverlay({ lowerDirs: [base], upperDir, workDir, userxattr: true });
    rmSync(below(mount, 'dir'), { recursive: true });
    mkdirSync(below(mount, 'dir'));
    expect(getxattr(join(upperDir, 'dir'), 'user.overlay.opaque').toString()).toBe('y');
  });
});

describeRoot('an overlay on a kernel before 6.7', () => {
  const facts = { lowerdirPlus: false };

  it('is the same to who uses it, and leaves no mount behind', () => {
    using layers = new Layers();
    const lowerDirs = [layers.layer('top', { both: 'top' }), layers.layer('base', { both: 'base', one: 'base' })];
    const { upperDir, workDir } = createSnapshot(layers.path('snapshot'));
    const before = mountTable();
    using mount = mountOverlay({ lowerDirs, upperDir, workDir }, { facts });
    expect(mountTable()).toBe(before);
    writeFileSync(below(mount, 'one'), 'written');
    expect(read(mount, 'both') + readFileSync(join(upperDir, 'one'), 'utf8')).toBe('topwritten');
  });

  it('takes 200 layers, by the short names of descriptors', () => {
    using layers = new Layers();
    const names = Array.from({ length: 200 }, (_, i) => `${'long-'.repeat(20)}${i}`);
    const lowerDirs = names.map((name, i) => layers.layer(name, { [`file-${i}`]: '' }));
    using mount = mountOverlay({ lowerDirs, ...createSnapshot(layers.path('snapshot')) }, { facts });
    expect(readdirSync(below(mount, ''))).toHaveLength(200);
  });
});

describeRoot('a directory that needs no overlay', () => {
  it('is mounted read-only as the only layer', () => {
    using layers = new Layers();
    using mount = mountOverlay({ lowerDirs: [layers.layer('only', { word: 'as it is' })] });
    expect(read(mount, 'word')).toBe('as it is');
    expect(errorOf(() => writeFileSync(below(mount, 'word'), ''))).toMatchObject({ code: 'EROFS' });
  });

  it('is mounted writable as the upper directory of no layers', () => {
    using layers = new Layers();
    const { upperDir, workDir } = createSnapshot(layers.path('snapshot'));
    using mount = mountOverlay({ lowerDirs: [], upperDir, workDir });
    writeFileSync(below(mount, 'word'), 'written');
    expect(readFileSync(join(upperDir, 'word'), 'utf8')).toBe('written');
  });

  it('is attached elsewhere without the nosuid of where it lies', () => {
    using layers = new Layers();
    const [host, target] = [layers.layer('host'), layers.layer('target')];
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nosuid,nodev,noexec', 'tmpfs', host]);
    try {
      mkdirSync(join(host, 'layer'));
      using mount = mountOverlay({ lowerDirs: [join(host, 'layer')] });
      mount.attach(target);
      const line = mountTable()
        .split('\n')
        .find((entry) => entry.includes(target));
      expect(line).toMatch(/ ro,relatime - tmpfs /);
    } finally {
      execFileSync('umount', [host]);
    }
  });
});

describeRoot('the life of a mount', () => {
  const attached = (layers: Layers): { mount: OverlayMount; target: string } => {
    const mount = mountOverlay({ lowerDirs: [layers.layer('a', { file: '' }), layers.layer('b')] });
    const target = layers.layer('target');
    mount.attach(target);
    return { mount, target };
  };

  it('ends with its descriptor when it is not attached', () => {
    using layers = new Layers();
    const mount = mountOverlay({ lowerDirs: [layers.layer('a'), layers.layer('b')] });
    mount.close();
    mount.close();
    expect(() => mount.fd).toThrow(TypeError);
  });

  it('goes on without its descriptor once it is attached', () => {
    using layers = new Layers();
    const { mount, target } = attached(layers);
    mount.close();
    expect(readdirSync(target)).toEqual(['file']);
    mount.unmount();
    expect(readdirSync(target)).toEqual([]);
    mount.unmount();
  });

  it('is not ended by unmount while somebody is inside', () => {
    using layers = new Layers();
    const { mount, target } = attached(layers);
    const fd = openSync(join(target, 'file'), 'r');
    expect(
      errorOf(() => {
        mount.unmount();
      }),
    ).toMatchObject({ code: 'OVERLAY_BUSY', errno: 'EBUSY', path: target });
    expect(mount.attachedTo).toBe(target);
    closeSync(fd);
    mount.unmount();
    expect(mountTable()).not.toContain(target);
  });

  it('is ended for everybody else by detach, whoever is inside', () => {
    using layers = new Layers();
    const { mount, target } = attached(layers);
    const fd = openSync(join(target, 'file'), 'r');
    mount.detach();
    expect(mountTable()).not.toContain(target);
    expect(readFileSync(fd, 'utf8')).toBe('');
    closeSync(fd);
  });

  it('is ended by detach wherever its directory has been moved', () => {
    using layers = new Layers();
    const target = layers.layer('before/target');
    using mount = mountOverlay({ lowerDirs: [layers.layer('a'), layers.layer('b')] });
    mount.attach(target);
    renameSync(layers.path('before'), layers.path('after'));
    expect(mountTable()).toContain(layers.path('after/target'));
    mount.detach();
    expect(mountTable()).not.toContain(layers.path('after/target'));
  });

  it('ends at the end of its block', () => {
    using layers = new Layers();
    let target: string;
    {
      const made = attached(layers);
      using mount = made.mount;
      target = made.target;
      expect(mount.attachedTo).toBe(target);
    }
    expect(mountTable()).not.toContain(target);
  });

  it('does not begin on what is no directory', () => {
    using layers = new Layers();
    using mount = mountOverlay({ lowerDirs: [layers.layer('a')] });
    expect(
      errorOf(() => {
        mount.attach(layers.path('nowhere'));
      }),
    ).toMatchObject({
      code: 'OVERLAY_DIR_MISSING',
      path: layers.path('nowhere'),
    });
  });
});

describeRoot('a volatile mount', () => {
  it('leaves its mark, with which the work directory is refused until somebody vouches for it', () => {
    using layers = new Layers();
    const lowerDirs = [layers.layer('base')];
    const { upperDir, workDir } = createSnapshot(layers.path('snapshot'));
    mountOverlay({ lowerDirs, upperDir, workDir, volatile: true }).close();
    expect(existsSync(join(workDir, 'work/incompat/volatile'))).toBe(true);
    for (const lowerdirPlus of [true, false]) {
      const again = errorOf(() => mountOverlay({ lowerDirs, upperDir, workDir }, { facts: { lowerdirPlus } }));
      expect(again).toMatchObject({ code: 'OVERLAY_VOLATILE_UNCLEAN', errno: 'EINVAL', path: workDir });
    }
    forgetVolatile(workDir);
    mountOverlay({ lowerDirs, upperDir, workDir }).close();
    forgetVolatile(workDir);
  });
});

describeRoot('a mount that is refused', () => {
  const cases = [
    ['a layer that is not there', 'OVERLAY_LAYER_MISSING', (layers: Layers) => [layers.path('nowhere')]],
    ['a layer that is a file', 'OVERLAY_LAYER_MISSING', () => ['/etc/passwd']],
  ] as const;

  it.each(cases)('says which: %s', (_, code, lowerDirs) => {
    using layers = new Layers();
    const [bad = ''] = lowerDirs(layers);
    const snapshot = createSnapshot(layers.path('snapshot'));
    for (const request of [{ lowerDirs: [layers.layer('a'), bad], ...snapshot }, { lowerDirs: [bad] }]) {
      for (const lowerdirPlus of [true, false]) {
        const error = errorOf(() => mountOverlay(request, { facts: { lowerdirPlus } }));
        expect(error).toMatchObject({ name: 'OverlayError', code, path: bad });
        expect((error as Error).message).toContain(bad);
      }
    }
  });

  it.each([true, false])('says that an upper directory is not there (lowerdirPlus: %s)', (lowerdirPlus) => {
    using layers = new Layers();
    const upperDir = layers.path('nowhere');
    const request = { lowerDirs: [layers.layer('a')], upperDir, workDir: layers.layer('work') };
    const error = errorOf(() => mountOverlay(request, { facts: { lowerdirPlus } }));
    expect(error).toMatchObject({ code: 'OVERLAY_DIR_MISSING', path: upperDir, errno: 'ENOENT' });
  });

  it.each([true, false])('says that upper and work are on two file systems (lowerdirPlus: %s)', (lowerdirPlus) => {
    using layers = new Layers();
    const request = { lowerDirs: [layers.layer('a')], upperDir: layers.layer('upper'), workDir: '/dev' };
    const error = errorOf(() => mountOverlay(request, { facts: { lowerdirPlus } }));
    expect(error).toMatchObject({ code: 'OVERLAY_REFUSED', path: '/dev' });
    expect((error as Error).message).toMatch(/is not on the file system of/);
  });

  it('keeps the kernel’s explanation', () => {
    using layers = new Layers();
    const upperDir = layers.layer('upper');
    const error = errorOf(() =>
      mountOverlay({ lowerDirs: ['/proc/self', layers.layer('a')], upperDir, workDir: upperDir }),
    );
    expect(error).toMatchObject({ code: 'OVERLAY_REFUSED', cause: { name: 'SysError', syscall: 'fsconfig' } });
  });
});

describeRoot('probeOverlay', () => {
  it('finds what this kernel mounts, without a mount', () => {
    const before = mountTable();
    const facts = probeOverlay();
    expect(mountTable()).toBe(before);
    using layers = new Layers();
    const snapshot = createSnapshot(layers.path('snapshot'));
    const lowerDirs = [layers.layer('a')];
    for (const option of ['volatile', 'userxattr'] as const) {
      const mounts = (): void => {
        mountOverlay({ lowerDirs, ...snapshot, [option]: true }, { facts }).close();
        forgetVolatile(snapshot.workDir);
      };
      if (facts[option]) mounts();
      else expect(mounts).toThrow();
    }
    expect(facts).toMatchObject({ overlay: true, maxLowerDirs: 500 });
  });
});
