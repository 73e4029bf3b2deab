import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  createReadStream,
  createWriteStream,
  lchownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { pipeline } from 'node:stream/promises';

import { expect, it } from '@jest/globals';
import { AT_FDCWD, linkat, lsetxattr, mknodat, symlinkat, utimensat, AT_SYMLINK_NOFOLLOW } from '@tsc/sys';

import { describeRoot } from '../../../test/root.ts';
import { packLayer, unpackLayer } from '../src/index.ts';
import { encodeName } from '../src/tar/name.ts';
import { scratch, type Scratch } from './scratch.ts';
import { describeTree, makeTree, tar } from './tree.ts';

const XATTRS = ['--xattrs', '--xattrs-include=*'];
const NS = 1_000_000_000n;

/** What archives of ordinary trees do not have. Names may be any bytes. */
const makeOddities = (dir: string): void => {
  const at = (name: string): string => `${dir}/${name}`;
  const file = (name: string, content: string = name): void => writeFileSync(encodeName(at(name)), content);
  const times = (name: string, atimeNs: bigint, mtimeNs: bigint): void =>
    utimensat(AT_FDCWD, at(name), { atimeNs, mtimeNs }, AT_SYMLINK_NOFOLLOW);
  for (const name of [
    'line\nbreak',
    ' spaces ',
    'tab\t"quotes\'',
    'ünï',
    'e\u0301',
    '\u00e9',
    '-dash',
    '*?[',
    'back\\slash',
    'latin-\udce4',
    '\udcff\udcfe',
    `long ${'\udcfc'.repeat(100)}`,
    '\ufffd',
    '=',
    'path=x',
  ])
    file(name);
  for (const [name, length] of [
    ['99', 99],
    ['100', 100],
    ['101', 101],
    ['255', 255],
  ] as const) {
    file(name.padEnd(length, 'n'));
    symlinkat('t'.repeat(length), AT_FDCWD, at(`link ${name}`));
  }
  const deep = Array.from({ length: 30 }, (_, i) => `directory-${String(i)}`).join('/');
  mkdirSync(at(deep), { recursive: true });
  file(`${deep}/file`);
  linkat(AT_FDCWD, at(`${deep}/file`), AT_FDCWD, at('hard link to a deep file'), 0);
  symlinkat('\udcff target', AT_FDCWD, at('link to latin'));
  linkat(AT_FDCWD, at('latin-\udce4'), AT_FDCWD, at('hard link to latin'), 0);
  linkat(AT_FDCWD, at('link to latin'), AT_FDCWD, at('hard link to a link'), 0);
  for (const [name, mode] of [
    ['setuid', 0o4755],
    ['setgid', 0o2711],
    ['both', 0o6777],
    ['sticky', 0o1644],
    ['none', 0o0000],
  ] as const) {
    file(name);
    execFileSync('chmod', [mode.toString(8), at(name)]);
    mkdirSync(at(`${name}.d`));
    execFileSync('chmod', [mode.toString(8), at(`${name}.d`)]);
    file(`${name}.d/inside`);
  }
  for (const [name, uid, gid] of [
    ['big uid', 3_000_000, 2 ** 31 + 7],
    ['largest uid', 2 ** 32 - 2, 2 ** 32 - 2],
    ['octal edge', 0o7777777, 0o10000000],
  ] as const) {
    file(name);
    chownSync(at(name), uid, gid);
    symlinkSync('x', at(`${name} link`));
    lchownSync(at(`${name} link`), uid, gid);
  }
  for (const [name, ns] of [
    ['1901', -2_147_483_648n * NS],
    ['1960', -315_619_200n * NS + 250_000_000n],
    ['just before 1970', -1n],
    ['1970', 0n],
    ['nanoseconds', 1_234_567_890_123_456_789n],
    ['2038', 2_147_483_648n * NS + 1n],
    ['2242', 8_589_934_591n * NS],
    ['2300', 10_413_792_000n * NS + 999_999_999n],
  ] as const) {
    file(name);
    times(name, ns, ns);
    mkdirSync(at(`${name}.d`));
    times(`${name}.d`, ns, ns);
    symlinkSync('x', at(`${name} link`));
    times(`${name} link`, ns, ns);
  }
  mkdirSync(at('devices'));
  mknodat(AT_FDCWD, at('devices/char'), 0o020640, { major: 5, minor: 1 });
  mknodat(AT_FDCWD, at('devices/block'), 0o060600, { major: 8, minor: 255 });
  mknodat(AT_FDCWD, at('devices/large'), 0o020666, { major: 4095, minor: 1_048_575 });
  mknodat(AT_FDCWD, at('devices/fifo'), 0o010622);
  linkSync(at('devices/char'), at('devices/char again'));
  linkSync(at('devices/fifo'), at('devices/fifo again'));
  file('empty', '');
  linkSync(at('empty'), at('empty again'));
  linkSync(at('empty again'), at('empty third'));
  for (const [key, value] of [
    ['user.empty', ''],
    ['user.binary', '\0\n=\xff'],
    ['user.long', 'v'.repeat(3000)],
    ['user.a=b', 'x'],
    ['user.50% \u00e9', 'x'],
    ['trusted.thing', 'x'],
  ] as const)
    lsetxattr(at('empty'), key, Buffer.from(value, 'latin1'));
  lsetxattr(at('both'), 'security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex'));
  lsetxattr(at('sticky.d'), 'user.of', Buffer.from('a directory'));
};

/** A file of holes at both ends and many in between. */
const makeSparse = (dir: string): void => {
  for (const [name, holes] of [
    ['few', 3],
    ['many', 60],
  ] as const) {
    execFileSync('truncate', ['-s', '20M', `${dir}/${name}`]);
    for (let i = 0; i < holes; i += 1)
      execFileSync('dd', [
        'if=/dev/urandom',
        `of=${dir}/${name}`,
        'bs=4096',
        'count=1',
        'conv=notrunc',
        'status=none',
        `seek=${String(20 + i * 70)}`,
      ]);
  }
  execFileSync('truncate', ['-s', '30M', `${dir}/hole only`]);
};

/** Unpacks an archive with GNU tar and with ours, and expects the same. Returns what came out. */
const expectSame = async (tmp: Scratch, archive: string, ...options: string[]): Promise<string[]> => {
  for (const name of ['theirs', 'ours']) {
    rmSync(tmp.at(name), { recursive: true, force: true });
    mkdirSync(tmp.at(name));
  }
  execFileSync('tar', ['-C', tmp.at('theirs'), ...XATTRS, '--numeric-owner', ...options, '-xpf', archive], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  await unpackLayer(createReadStream(archive), tmp.at('ours'));
  const ours = describeTree(tmp.at('ours'));
  expect(ours).toEqual(describeTree(tmp.at('theirs')));
  return ours;
};

const pack = async (dir: string, compression: 'none' | 'gzip' = 'none') => {
  const { stream, packed } = packLayer(dir, { compression });
  stream.resume();
  return await packed;
};

const FORMATS: readonly (readonly [string, readonly string[]])[] = [
  ['gnu', ['--format=gnu']],
  ['oldgnu', ['--format=oldgnu']],
  ['pax', ['--format=pax', ...XATTRS]],
  ['ustar', ['--format=ustar']],
  ['v7', ['--format=v7']],
];

describeRoot('an unpacked layer is what GNU tar unpacks', () => {
  it.each(FORMATS)('of an odd tree, in format %s', async (_name, options) => {
    using tmp = scratch();
    mkdirSync(tmp.at('tree/odd'), { recursive: true });
    mkdirSync(tmp.at('tree/root'));
    makeTree(tmp.at('tree/root'));
    makeOddities(tmp.at('tree/odd'));
    // What a format can't hold is left out, with an error.
    spawnSync('tar', ['-C', tmp.at('tree'), ...options, '--sort=name', '-cf', tmp.at('tar'), '.'], { stdio: 'ignore' });
    const lines = await expectSame(tmp, tmp.at('tar'));
    expect(lines.length).toBeGreaterThan(70);
    // GNU tar archives further names of a device as devices of their own.
    const others = (all: string[]): string[] => all.filter((line) => !line.startsWith('"./odd/devices/'));
    if (options.includes('--format=pax')) expect(others(lines)).toEqual(others(describeTree(tmp.at('tree'))));
  });

  it.each([
    ['oldgnu', ['--format=oldgnu']],
    ['gnu', ['--format=gnu']],
    ['0.0', ['--format=pax', '--sparse-version=0.0']],
    ['0.1', ['--format=pax', '--sparse-version=0.1']],
    ['1.0', ['--format=pax', '--sparse-version=1.0']],
  ])('of sparse files, in format %s', async (_name, options) => {
    using tmp = scratch();
    mkdirSync(tmp.at('tree'));
    makeSparse(tmp.at('tree'));
    tar('-C', tmp.at('tree'), ...options, '--sparse', '-cf', tmp.at('tar'), '.');
    expect(statSync(tmp.at('tar')).size).toBeLessThan(1_000_000);
    await expectSame(tmp, tmp.at('tar'));
    expect(statSync(tmp.at('ours/many')).blocks).toBe(statSync(tmp.at('theirs/many')).blocks);
    expect(statSync(tmp.at('ours/hole only')).blocks).toBe(0);
  });

  it.each(FORMATS.slice(0, 4))('of names that come again as something else, in format %s', async (_name, options) => {
    using tmp = scratch();
    for (const [step, name] of ['first', 'second', 'third'].entries()) {
      mkdirSync(tmp.at(name));
      const at = (path: string): string => `${tmp.at(name)}/${path}`;
      const kinds: readonly ((path: string) => void)[] = [
        (path) => writeFileSync(path, `file of ${name}`),
        (path) => mkdirSync(path),
        (path) => symlinkSync(`target of ${name}`, path),
        (path) => mknodat(AT_FDCWD, path, 0o010644),
        (path) => mknodat(AT_FDCWD, path, 0o020644, { major: 1, minor: 3 }),
        (path) => {
          writeFileSync(`${path} first`, `linked of ${name}`);
          linkSync(`${path} first`, path);
        },
      ];
      // Every kind in the place of every other.
      for (const [i, make] of kinds.entries())
        for (let j = 0; j < kinds.length; j += 1)
          make(at(`${String((i + step * j) % kinds.length)} then ${String(j)}`));
      mkdirSync(at('merged'));
      writeFileSync(at(`merged/${name}`), name);
      writeFileSync(at('merged/all'), name);
      tar('-C', tmp.at(name), ...options, '--sort=name', step === 0 ? '-cf' : '-rf', tmp.at('tar'), '.');
    }
    await expectSame(tmp, tmp.at('tar'));
    expect(readdirSync(tmp.at('ours/merged'))).toHaveLength(4);
  });

  it.each(['etc', 'var/lib/dpkg/info', 'usr/share/zoneinfo', 'usr/share/perl5'])('of /%s', async (part) => {
    using tmp = scratch();
    tar('-C', `/${part}`, '--format=pax', ...XATTRS, '-czf', tmp.at('tar.gz'), '.');
    expect(await expectSame(tmp, tmp.at('tar.gz'))).toEqual(describeTree(`/${part}`));
    const first = await pack(tmp.at('ours'), 'gzip');
    for (const dir of [tmp.at('theirs'), `/${part}`]) expect(await pack(dir, 'gzip')).toEqual(first);
  });
});

describeRoot('a packed layer', () => {
  it('comes back the same when unpacked and packed again', async () => {
    using tmp = scratch();
    for (const name of ['tree', 'again', 'theirs']) mkdirSync(tmp.at(name));
    makeOddities(tmp.at('tree'));
    makeSparse(tmp.at('tree'));
    rmSync(tmp.at('tree/empty third'));
    const { stream, packed } = packLayer(tmp.at('tree'), { compression: 'gzip' });
    await pipeline(stream, createWriteStream(tmp.at('tar.gz')));
    await unpackLayer(createReadStream(tmp.at('tar.gz')), tmp.at('again'));
    // `trusted.` attributes are left out.
    const kept = (dir: string): string[] => describeTree(dir).map((line) => line.replace(' trusted.thing=78', ''));
    expect(kept(tmp.at('again'))).toEqual(kept(tmp.at('tree')));
    tar('-C', tmp.at('theirs'), ...XATTRS, '--numeric-owner', '--warning=no-timestamp', '-xpzf', tmp.at('tar.gz'));
    expect(kept(tmp.at('theirs'))).toEqual(kept(tmp.at('tree')));
    for (const dir of ['tree', 'again', 'theirs']) expect(await pack(tmp.at(dir), 'gzip')).toEqual(await packed);
  });

  it('does not depend on the order of the directory, the umask, the time zone or the language', () => {
    using tmp = scratch();
    mkdirSync(tmp.at('one'));
    mkdirSync(tmp.at('other'));
    const names = Array.from({ length: 300 }, (_, i) => `${String((i * 7919) % 1000)}-ä\u00d6\u0131`);
    for (const name of names) writeFileSync(`${tmp.at('one')}/${name}`, name);
    for (const name of names.toReversed()) writeFileSync(`${tmp.at('other')}/${name}`, 'x');
    for (const name of names) writeFileSync(`${tmp.at('other')}/${name}`, name);
    for (const dir of ['one', 'other']) {
      for (const name of names) utimesSync(`${tmp.at(dir)}/${name}`, 1, 1);
      utimesSync(tmp.at(dir), 2, 2);
    }
    const program = new URL('./pack-directory.ts', import.meta.url).pathname;
    const hook = new URL('./resolve-sources.mjs', import.meta.url).href;
    const digests = [
      ['one', '022', { TZ: 'UTC', LC_ALL: 'C' }],
      ['other', '077', { TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8' }],
      ['other', '000', { TZ: 'America/St_Johns', LC_ALL: 'sv_SE.UTF-8', UV_THREADPOOL_SIZE: '1' }],
    ].map(([dir, umask, env]) =>
      execFileSync(
        'sh',
        [
          '-c',
          `umask ${umask as string}; exec "$@"`,
          'sh',
          process.execPath,
          '--import',
          hook,
          program,
          tmp.at(dir as string),
        ],
        { env: env as Record<string, string>, encoding: 'utf8' },
      ),
    );
    expect(digests[0]).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(new Set(digests).size).toBe(1);
  });
});
