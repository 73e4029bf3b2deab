import { describe, expect, it } from '@jest/globals';

import { MOUNT_ATTR_RDONLY } from '@tsc/sys';

import { planOverlay, type OverlayPlan } from './plan.ts';

const writable = { lowerDirs: ['/top', '/base'], upperDir: '/upper', workDir: '/work' };

const dirsOf = (plan: OverlayPlan): string[] =>
  plan.type === 'bind'
    ? []
    : plan.settings.flatMap((setting) => (setting.type === 'dir' ? [`${setting.key} ${setting.dir}`] : []));
const flagsOf = (plan: OverlayPlan): string[] =>
  plan.type === 'bind' ? [] : plan.settings.flatMap((setting) => (setting.type === 'flag' ? [setting.key] : []));

describe('planOverlay', () => {
  it('gives layers to the kernel one by one, topmost first', () => {
    expect(dirsOf(planOverlay(writable))).toEqual([
      'lowerdir+ /top',
      'lowerdir+ /base',
      'upperdir /upper',
      'workdir /work',
    ]);
  });

  it('names directories from the root, wherever the process is', () => {
    expect(dirsOf(planOverlay({ lowerDirs: ['a', 'b'] }))[0]).toBe(`lowerdir+ ${process.cwd()}/a`);
  });

  it('follows no redirect and makes no partial copy, whatever the kernel has built in', () => {
    expect(planOverlay(writable)).toMatchObject({
      settings: expect.arrayContaining([
        { type: 'string', key: 'redirect_dir', value: 'nofollow' },
        { type: 'string', key: 'metacopy', value: 'off' },
        { type: 'string', key: 'index', value: 'off' },
      ]),
    });
  });

  it('is read-only without an upper directory, or when asked', () => {
    expect(planOverlay(writable)).toMatchObject({ attributes: 0 });
    expect(planOverlay({ lowerDirs: ['/a', '/b'] })).toMatchObject({ attributes: MOUNT_ATTR_RDONLY });
    expect(planOverlay({ ...writable, readOnly: true })).toMatchObject({ attributes: MOUNT_ATTR_RDONLY });
  });

  it('sets the flags that are asked for, before the directories they are about', () => {
    expect(flagsOf(planOverlay(writable))).toEqual([]);
    expect(flagsOf(planOverlay({ ...writable, volatile: true, userxattr: true }))).toEqual(['userxattr', 'volatile']);
  });

  it('takes a single directory as it is', () => {
    expect(planOverlay({ lowerDirs: ['/only'] })).toEqual({
      type: 'bind',
      source: { type: 'dir', key: 'lowerdir+', dir: '/only' },
      readOnly: true,
    });
    expect(planOverlay({ ...writable, lowerDirs: [] })).toEqual({
      type: 'bind',
      source: { type: 'dir', key: 'upperdir', dir: '/upper' },
      readOnly: false,
    });
  });

  it('refuses more layers than the kernel takes', () => {
    const lowerDirs = Array.from({ length: 501 }, (_, i) => `/layer-${i}`);
    expect(() => planOverlay({ ...writable, lowerDirs })).toThrow(
      expect.objectContaining({ name: 'OverlayError', code: 'OVERLAY_TOO_MANY_LAYERS' }),
    );
    expect(() => planOverlay({ ...writable, lowerDirs: lowerDirs.slice(1) })).not.toThrow();
  });

  it.each([
    ['nothing', { lowerDirs: [] }],
    ['an upper without a work directory', { lowerDirs: ['/a'], upperDir: '/upper' }],
    ['a work without an upper directory', { lowerDirs: ['/a'], workDir: '/work' }],
    ['volatile writes that go nowhere', { lowerDirs: ['/a', '/b'], volatile: true }],
  ])('refuses %s', (_, request) => {
    expect(() => planOverlay(request)).toThrow(TypeError);
  });
});
