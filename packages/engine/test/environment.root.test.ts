import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { put } from './busybox-image.ts';
import { failureOf, sh, testEngine, warmUp } from './test-engine.ts';

const volumes = (rootDir: string): string[] => readdirSync(join(rootDir, 'volumes'));

describeRoot('the files of a container', () => {
  beforeAll(warmUp);

  it('are what its image has until they are bound, and stay the host’s where they are read-only', async () => {
    await using t = await testEngine();
    mkdirSync(t.at('host/sub'), { recursive: true });
    writeFileSync(t.at('host/file'), 'of the host\n');
    const bind = { type: 'bind', source: t.at('host'), target: '/mnt' } as const;
    const seen = await sh(t.engine, 'cat /mnt/file; echo new > /mnt/sub/new && echo yes', { mounts: [bind] });
    expect(seen).toMatchObject({ stdout: 'of the host\nyes\n', exitCode: 0 });
    expect(readFileSync(t.at('host/sub/new'), 'utf8')).toBe('new\n');
    const refused = await sh(t.engine, 'echo x > /mnt/sub/x', { mounts: [{ ...bind, readOnly: true }] });
    expect(refused).toMatchObject({ stderr: expect.stringContaining('Read-only file system'), exitCode: 1 });
    const file = { type: 'bind', source: t.at('host/file'), target: '/etc/motd' } as const;
    expect((await sh(t.engine, 'cat /etc/motd', { mounts: [file] })).stdout).toBe('of the host\n');
  });

  it('are bound from a source that is there, or made when that was asked for', async () => {
    await using t = await testEngine();
    const bind = { type: 'bind', source: t.at('none/below'), target: '/mnt' } as const;
    const mounts = [{ type: 'volume', target: '/other' } as const, bind];
    expect(await failureOf(t.engine.createContainer({ image: 'busybox', mounts }))).toBe(
      `ENGINE_INVALID_SPEC: bind source path does not exist: ${t.at('none/below')}`,
    );
    expect(volumes(t.layout.rootDir)).toEqual([]);
    expect((await sh(t.engine, 'ls -d /mnt', { mounts: [{ ...bind, createSource: true }] })).stdout).toBe('/mnt\n');
    expect(statSync(t.at('none/below')).isDirectory()).toBe(true);
  });

  it('begin in a volume as the image has them, once', async () => {
    await using t = await testEngine({
      changes: ['CMD ["sh"]', 'VOLUME /declared'],
      tree: (dir) => {
        put(dir, 'declared/nested/file', 'declared\n');
        symlinkSync('nested/file', join(dir, 'declared/link'));
        execFileSync('chown', ['-R', '1000:50', join(dir, 'declared')]);
        execFileSync('chmod', ['2750', join(dir, 'declared')]);
      },
    });
    const named = { type: 'volume', source: 'named', target: '/declared' } as const;
    const first = await sh(t.engine, 'cat /declared/link; stat -c "%a %u:%g" /declared; rm /declared/link', {
      mounts: [named],
    });
    expect(first.stdout).toBe('declared\n2750 1000:50\n');
    expect((await sh(t.engine, 'ls /declared', { mounts: [named] })).stdout).toBe('nested\n');
    const bare = { ...named, source: 'bare', noCopy: true };
    expect((await sh(t.engine, 'ls /declared', { mounts: [bare] })).stdout).toBe('');
    expect((await sh(t.engine, 'ls /declared')).stdout).toBe('link\nnested\n'); // an anonymous one, gone with --rm
    expect(volumes(t.layout.rootDir).toSorted()).toEqual(['bare', 'named']);
  });

  it('are all there in a volume that several containers fill at once, or that a killed one has not filled', async () => {
    await using t = await testEngine({
      tree: (dir) => {
        for (let file = 0; file < 200; file += 1) put(dir, `many/${String(file)}`, 'x');
      },
    });
    const mounts = [{ type: 'volume', source: 'shared', target: '/many' } as const];
    const count = async (): Promise<string> => (await sh(t.engine, 'ls /many | wc -l', { mounts })).stdout;
    expect(await Promise.all([count(), count(), count(), count()])).toEqual(Array(4).fill('200\n'));
    const dir = join(t.layout.rootDir, 'volumes/shared');
    rmSync(join(dir, '_data/7'));
    expect(await count()).toBe('199\n'); // what is gone stays gone
    writeFileSync(join(dir, 'unfinished'), '');
    expect(await count()).toBe('200\n');
  });

  it('are gone with their volume when they are removed with it', async () => {
    await using t = await testEngine();
    const spec = { image: 'busybox', mounts: [{ type: 'volume', target: '/data' } as const] };
    const kept = await t.engine.createContainer(spec);
    await kept.remove();
    expect(volumes(t.layout.rootDir)).toHaveLength(1);
    const removed = await t.engine.createContainer(spec);
    await removed.remove({ volumes: true });
    expect(volumes(t.layout.rootDir)).toHaveLength(1);
  });

  it('lie in memory on a tmpfs of the size and with the options asked for', async () => {
    await using t = await testEngine();
    const mounts = [
      { type: 'tmpfs', target: '/scratch', sizeBytes: 1024 ** 2, mode: 0o700, options: ['exec'] } as const,
    ];
    const script =
      'stat -c %a /scratch; grep " /scratch " /proc/mounts; dd if=/dev/zero of=/scratch/f bs=64k 2>&1 | tail -1; stat -c %s /scratch/f';
    const { stdout } = await sh(t.engine, script, { mounts });
    const [mode, mount, , size] = stdout.split('\n');
    expect(mode).toBe('700');
    expect(mount).toMatch(/^tmpfs \/scratch tmpfs rw,nosuid,nodev,relatime,size=1024k,mode=700/);
    expect(size).toBe(String(1024 ** 2));
  });

  it('can’t be written where the root is read-only, except in what is mounted', async () => {
    await using t = await testEngine();
    const script = 'touch /file; touch /etc/file; touch /tmp2/file && echo there; touch /dev/shm/file && echo shm';
    const mounts = [{ type: 'tmpfs', target: '/tmp2' } as const];
    const { stdout, stderr } = await sh(t.engine, script, { readOnlyRootfs: true, mounts });
    expect(stderr.match(/Read-only file system/g)).toHaveLength(2);
    expect(stdout).toBe('there\nshm\n');
  });
});

describeRoot('the process of a container', () => {
  beforeAll(warmUp);

  it('has the image’s environment with the caller’s over it', async () => {
    await using t = await testEngine({ changes: ['ENV A=image B=image C=image', 'WORKDIR /made/there', 'CMD ["sh"]'] });
    const { stdout } = await sh(t.engine, 'echo $A,$B,${C-unset},$D,$HOME,$HOSTNAME; pwd; echo $PATH', {
      env: ['A=own', 'C', 'D=x=y'],
      hostname: 'inside',
    });
    expect(stdout).toBe(
      'own,image,unset,x=y,/root,inside\n/made/there\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n',
    );
  });

  it('replaces the image’s entrypoint and command as Docker does', async () => {
    await using t = await testEngine({ changes: ['ENTRYPOINT ["echo", "entry"]', 'CMD ["cmd"]'] });
    const out = async (spec: Parameters<typeof sh>[2]): Promise<string> =>
      (await sh(t.engine, '', { command: undefined, ...spec })).stdout;
    expect(await out({})).toBe('entry cmd\n');
    expect(await out({ command: ['own'] })).toBe('entry own\n');
    expect(await out({ entrypoint: ['echo', 'own'] })).toBe('own\n');
    expect(await out({ entrypoint: [], command: ['echo', 'bare'] })).toBe('bare\n');
  });

  it.each([
    ['', '0 0 0'],
    ['alice', '1000 1000 1000 29 50'],
    ['alice:extra', '1000 77 77'],
    ['1000', '1000 1000 1000 29 50'],
    ['1000:1000', '1000 1000 1000'],
    ['4242', '4242 0 0'],
    ['0', '0 0 0 29'],
    ['2147483647:77', '2147483647 77 77'],
  ])('is user %j as the container’s own files know it', async (user, ids) => {
    await using t = await testEngine();
    const { stdout } = await sh(t.engine, 'grep -E "^(Uid|Gid|Groups)" /proc/self/status', { user });
    const [uid, gid, groups] = stdout.split('\n').map((line) => line.split(/\s+/).slice(1).filter(Boolean));
    const sorted = (groups ?? [])
      .map(Number)
      .toSorted((a, b) => a - b)
      .join(' ');
    const [wantedUid, wantedGid, ...wantedGroups] = ids.split(' ').map(Number);
    expect([uid?.[1], gid?.[1]]).toEqual([String(wantedUid), String(wantedGid)]);
    if (user !== '') expect(sorted).toBe(wantedGroups.toSorted((a, b) => a - b).join(' '));
  });

  it.each([
    '-1',
    '4294967295',
    '2147483648',
    '4294967296:0',
    '0x0',
    '١',
    '1000 ',
    'bob',
    'alice:nobody',
    '99999999999999999999',
  ])('is nobody by mistake: user %j is refused', async (user) => {
    await using t = await testEngine();
    expect(await failureOf(sh(t.engine, 'id', { user }))).toMatch(
      /^ENGINE_START_FAILED: failed to start container: (unable to find|invalid) (user|group) /,
    );
    expect(t.engine.listContainers({ all: true })).toEqual([]);
  });

  it.each<[string, (dir: string) => void, RegExp]>([
    ['a FIFO', (dir) => execFileSync('mkfifo', [join(dir, 'etc/passwd')]), /it succeeded/],
    [
      'a link to /dev/zero',
      (dir) => {
        symlinkSync('/dev/zero', join(dir, 'etc/passwd'));
      },
      /it succeeded/,
    ],
    [
      'a link to itself',
      (dir) => {
        symlinkSync('passwd', join(dir, 'etc/passwd'));
      },
      /it succeeded/,
    ],
    ['a directory', (dir) => mkdirSync(join(dir, 'etc/passwd')), /it succeeded/],
    ['a device', (dir) => execFileSync('mknod', [join(dir, 'etc/passwd'), 'c', '1', '5']), /it succeeded/],
    [
      'a file of 2 GB',
      (dir) => {
        writeFileSync(join(dir, 'etc/passwd'), '');
        truncateSync(join(dir, 'etc/passwd'), 2 * 1024 ** 3);
      },
      /^ENGINE_START_FAILED: .*etc\/passwd of the container is larger than 10 MiB$/,
    ],
  ])('does not wait for an image’s users, or read them for ever, from %s', async (_, make, outcome) => {
    await using t = await testEngine({
      tree: (dir) => {
        rmSync(join(dir, 'etc/passwd'));
        make(dir);
      },
    });
    const begun = performance.now();
    expect(await failureOf(sh(t.engine, 'true'))).toMatch(outcome);
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  it('has Docker’s capabilities, more, fewer, or what there are', async () => {
    await using t = await testEngine();
    const caps = async (spec: Parameters<typeof sh>[2]): Promise<string> => {
      const { stdout } = await sh(t.engine, 'grep -E "^Cap" /proc/self/status', spec);
      return stdout.replaceAll(/Cap(\w+):\t0*(\w+)\n/g, '$1=$2 ').trim();
    };
    expect(await caps({})).toBe('Inh=0 Prm=a80425fb Eff=a80425fb Bnd=a80425fb Amb=0');
    expect(await caps({ user: 'alice' })).toBe('Inh=0 Prm=0 Eff=0 Bnd=a80425fb Amb=0');
    expect(await caps({ capDrop: ['ALL'], capAdd: ['NET_BIND_SERVICE', 'cap_chown'] })).toContain('Eff=401 Bnd=401');
    expect(await caps({ capDrop: ['mknod'] })).toContain('Eff=a00425fb');
    const own = /^CapPrm:\t0*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    expect(await caps({ privileged: true })).toContain(`Eff=${own} Bnd=${own}`);
    expect(await caps({ capAdd: ['ALL'] })).toContain(`Eff=${own} Bnd=${own}`);
    expect(await failureOf(sh(t.engine, '', { capAdd: ['FLY'] }))).toMatch(/^ENGINE_INVALID_SPEC: .*FLY/);
  });

  it('may do as little as Docker’s may, unless it is privileged', async () => {
    await using t = await testEngine();
    const script =
      'mount -t tmpfs x /tmp 2>/dev/null && echo mounted; ls /dev | wc -l; echo 1 > /proc/sys/kernel/printk && echo set; cat /proc/kcore | head -c 1 | wc -c';
    const plain = await sh(t.engine, `${script} 2>/dev/null`);
    expect(plain.stdout).not.toMatch(/mounted|set/);
    expect(plain.stdout).toMatch(/\n0\n$/);
    expect((await sh(t.engine, 'mount -t tmpfs x /tmp && echo mounted', { privileged: true })).stdout).toBe(
      'mounted\n',
    );
    expect((await sh(t.engine, 'ls /proc/self/fd')).stdout).toBe('0\n1\n2\n3\n');
    expect(
      (await sh(t.engine, 'grep -E "Seccomp:|NoNewPrivs" /proc/self/status', { noNewPrivileges: true })).stdout,
    ).toBe('NoNewPrivs:\t1\nSeccomp:\t2\n');
  });

  it('has the limits and kernel parameters asked for, and none that are the host’s', async () => {
    await using t = await testEngine();
    const ulimits = [{ name: 'nofile', soft: 100, hard: 200 }];
    expect((await sh(t.engine, 'ulimit -Sn; ulimit -Hn', { ulimits })).stdout).toBe('100\n200\n');
    const sysctls = { 'kernel.shm_rmid_forced': '1', 'net.ipv4.ip_default_ttl': '77' };
    const script = 'cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_default_ttl';
    expect((await sh(t.engine, script, { sysctls })).stdout).toBe('1\n77\n');
    const corePattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
    for (const [name, value] of [
      ['kernel.core_pattern', '|/x'],
      ['kernel.shm_rmid_forced', '1+kernel.core_pattern=|/x'],
      ['net.ipv4/../../kernel.core_pattern', '|/x'],
      ['vm.swappiness', '1'],
    ] as const) {
      expect(await failureOf(sh(t.engine, 'true', { sysctls: { [name]: value } }))).toMatch(
        /^ENGINE_\w+: .*(kernel parameter|write)/,
      );
    }
    expect(
      await failureOf(sh(t.engine, 'true', { sysctls: { 'net.ipv4.ip_default_ttl': '9' }, network: 'host' })),
    ).toMatch(/^ENGINE_/);
    expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(corePattern);
  });

  it('is reaped for by an init when asked for', async () => {
    await using t = await testEngine();
    const { stdout } = await sh(t.engine, 'echo $$; cat /proc/1/comm; exit 3', { init: true });
    expect(stdout).not.toMatch(/^1\n/);
    expect((await sh(t.engine, 'kill -TERM $$', { init: true })).exitCode).toBe(143);
  });

  it('knows its names and its name servers', async () => {
    await using t = await testEngine();
    const spec = {
      network: 'bridge',
      hostname: 'inside',
      domainname: 'example.org',
      dns: ['192.0.2.1'],
      dnsSearch: ['example.org'],
      dnsOptions: ['ndots:2'],
      extraHosts: ['other:192.0.2.9', 'gate:host-gateway'],
    } as const;
    const { stdout } = await sh(
      t.engine,
      'hostname; cat /etc/hostname /etc/resolv.conf; cat /etc/hosts; ip -4 -o addr show eth0',
      spec,
    );
    const address = /inet (\S+)\/16/.exec(stdout)?.[1] ?? '';
    expect(stdout).toContain('inside\ninside\nnameserver 192.0.2.1\nsearch example.org\noptions ndots:2\n');
    expect(stdout).toContain(
      `192.0.2.9\tother\n${address.replace(/\.\d+$/, '.1')}\tgate\n${address}\tinside.example.org inside\n`,
    );
    expect((await sh(t.engine, 'hostname')).stdout).toMatch(/^[0-9a-f]{12}\n$/);
  });
});
