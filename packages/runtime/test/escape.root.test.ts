import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { attack, bind, withMounts } from './attack.ts';
import { BusyboxRoot } from './busybox-root.ts';
import { TestContainer, run, shell, warmUp } from './test-container.ts';
import { Witness } from './witness.ts';

let witness: Witness;
beforeAll(async () => {
  await warmUp();
  witness = new Witness();
});
afterAll(() => {
  witness[Symbol.dispose]();
});

describeRoot('V01: the program that starts containers', () => {
  it('cannot be overwritten by a container that has itself executed as its own entry point', async () => {
    const digests = (): string[] => [process.execPath, prebuilt('tsc-init'), prebuilt('sys.node')].map(sha256);
    const before = digests();
    expect((await run(['/proc/self/exe'])).exitCode).toBe(1);
    const script =
      'for pid in 1 self; do for how in ">>" ">"; do eval "echo x $how /proc/$pid/exe" 2>/dev/null && echo written; done; done; echo end';
    expect((await shell(script, { reap: true })).stdout).toBe('end\n');
    await using container = await TestContainer.idle({ reap: true });
    const exec = await container.exec(['/proc/self/exe']);
    expect((await exec.finished()).exitCode).toBe(1);
    expect(digests()).toEqual(before);
    expect((await run(['/bin/busybox', 'echo', 'fine'])).stdout).toBe('fine\n');
  });
});

const prebuilt = (name: string): string =>
  new URL(`../../sys/prebuilt/${process.platform}-${process.arch}/${name}`, import.meta.url).pathname;
const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

describeRoot('V02: descriptors of the host', () => {
  it('are no way out as a working directory, at the start or in an exec', async () => {
    await using container = await TestContainer.idle();
    for (let fd = 3; fd <= 40; fd++) {
      const cwd = `/proc/self/fd/${fd}`;
      await expect(run(['true'], { cwd })).rejects.toMatchObject({ code: 'RUNTIME_START_FAILED' });
      await expect(container.exec(['true'], { cwd })).rejects.toMatchObject({ code: 'RUNTIME_START_FAILED' });
      await expect(container.exec(['true'], { cwd: `${cwd}/../..` })).rejects.toMatchObject({
        code: 'RUNTIME_START_FAILED',
      });
    }
    // By way of a link of the image, too.
    const image = (root: BusyboxRoot): void => symlinkSync('/proc/self/fd/7', root.path('work'));
    await expect(run(['true'], { cwd: '/work', image })).rejects.toMatchObject({ code: 'RUNTIME_START_FAILED' });
    expect((await run(['pwd'], { cwd: '/tmp' })).stdout).toBe('/tmp\n');
  });

  it('are not there', async () => {
    await using container = await TestContainer.idle();
    const list = ['sh', '-c', 'ls /proc/$$/fd; true'];
    const exec = await container.exec(list);
    expect([(await run(list)).stdout, (await exec.finished()).stdout]).toEqual(['0\n1\n2\n', '0\n1\n2\n']);
    expect(readdirSync(`/proc/${container.hostPid}/fd`).sort()).toEqual(['0', '1', '2']);
  });
});

describeRoot('V03: the place of a mount', () => {
  it('is in the container, although another swaps it for a link meanwhile', async () => {
    using shared = new BusyboxRoot();
    const volume = shared.path('tmp');
    mkdirSync(join(volume, 'x'));
    symlinkSync('/', join(volume, 'y'));
    const image = witness.install;
    await using swapper = await TestContainer.start(['sh', '-c', 'cd /vol; witness exchange x y & echo ready; wait'], {
      image,
      change: (spec) => withMounts(spec, bind('/vol', volume)),
    });
    await swapper.until('ready');
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    let arrived = 0;
    for (let round = 0; round < 100; round++) {
      const said = await attack('cat /vol/x/alive 2>/dev/null', {
        change: (spec, root) => withMounts(spec, bind('/vol', volume), bind('/vol/x', root.canaryDir)),
      });
      if (said === 'canary\n') arrived++;
    }
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(mounts);
    expect(arrived).toBeGreaterThan(0);
  });

  it.each([
    '/proc',
    '/proc/',
    '//proc',
    '/./proc',
    '/x/../proc',
    '/proc/sys',
    '/proc/self',
    '/proc/self/attr/exec',
    '/',
    '/x/..',
  ])('is not %s', async (destination) => {
    await expect(
      run(['true'], { change: (spec, root) => withMounts(spec, bind(destination, root.canaryDir)) }),
    ).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC' });
  });

  it('may be a file of procfs that tells of resources', async () => {
    const { stdout } = await shell('cat /proc/meminfo', {
      change: (spec, root) => withMounts(spec, bind('/proc/meminfo', `${root.canaryDir}/alive`)),
    });
    expect(stdout).toBe('canary\n');
  });

  it.each(['/proc/self/root/x', '/proc/1/cwd/x', '/proc/self/fd/3'])(
    'is nothing that a link %s of procfs leads to',
    async (target) => {
      const image = (root: BusyboxRoot): void => symlinkSync(target, root.path('link'));
      await expect(
        run(['true'], { image, change: (spec, root) => withMounts(spec, bind('/link', root.canaryDir)) }),
      ).rejects.toMatchObject({
        code: 'RUNTIME_START_FAILED',
        errno: expect.stringMatching(/ELOOP|EXDEV|ENOENT/) as unknown,
      });
    },
  );
});

describeRoot('V04: masked paths', () => {
  it('are masked whatever /dev/null of the image is', async () => {
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
    const image = (root: BusyboxRoot): void => {
      mkdirSync(root.path('dev'));
      symlinkSync('/proc/sys/kernel/core_pattern', root.path('dev/null'));
    };
    const { stdout } = await shell(
      'wc -c < /proc/interrupts; stat -c %t:%T /dev/null /proc/interrupts; echo x > /proc/interrupts; echo "|x" > /proc/sys/kernel/core_pattern || echo refused',
      { image },
    );
    expect(stdout).toBe('0\n1:3\n1:3\nrefused\n');
    expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(pattern);
  });

  it('and standard input are the null device of the host, whose mode and owner nobody changes', async () => {
    const before = traceOfNull();
    const { stdout, stderr } = await shell(
      'chmod 600 /proc/interrupts; chown 1:1 /proc/keys; chmod 600 /dev/stdin; touch /dev/stdin; umount /proc/interrupts; echo end',
    );
    expect(stdout).toBe('end\n');
    expect(stderr.match(/Read-only file system/g)).toHaveLength(4);
    await using container = await TestContainer.idle();
    const exec = await container.exec(['chmod', '600', '/dev/stdin']);
    expect((await exec.finished()).exitCode).toBe(1);
    expect(traceOfNull()).toBe(before);
    expect((await shell('chmod 600 /dev/null && stat -c %a /dev/null')).stdout).toBe('600\n');
  });
});

const traceOfNull = (): string => {
  const { mode, uid, gid } = statSync('/dev/null');
  return [mode, uid, gid].join(' ');
};

describeRoot('V05: /dev/console', () => {
  it.each<[string, (root: BusyboxRoot) => void]>([
    ['nothing', () => undefined],
    ['a link to the host', (root) => symlinkSync(join(root.canaryDir, 'alive'), root.path('dev/console'))],
    ['a directory', (root) => mkdirSync(root.path('dev/console'))],
    ['below a link in the place of pts', (root) => symlinkSync(root.canaryDir, root.path('dev/pts'))],
    ['with a ptmx of its own', (root) => symlinkSync(join(root.canaryDir, 'alive'), root.path('dev/ptmx'))],
  ])('is a terminal of the container, where the image has %s', async (_, prepare) => {
    const said = await attack('stat -c "%F %t" /dev/console; stat -c %F /dev/ptmx -L; tty', {
      terminal: true,
      image: (root) => {
        mkdirSync(root.path('dev'));
        prepare(root);
      },
    });
    expect(said.replaceAll('\r\n', '\n')).toBe('character special file 88\ncharacter special file\n/dev/pts/0\n');
  });
});

describeRoot('V06: what is written to procfs', () => {
  it.each([
    'kernel.core_pattern',
    'kernel/../../sysrq-trigger',
    'net/../kernel/core_pattern',
    'net.ipv4..x',
    'vm.overcommit_memory',
    'kernel.hostname\0',
    '',
    'net',
    'fs.mqueue',
  ])('is no parameter of the machine: %j', async (name) => {
    await expect(run(['true'], { sysctl: { [name]: '1' } })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC' });
  });

  it('goes to the procfs of the container, whatever the image has in its place', async () => {
    const said = await attack(
      'cat /proc/sys/kernel/shmmni /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status',
      {
        sysctl: { 'kernel.shmmni': '99' },
        oomScoreAdj: 77,
        noNewPrivileges: true,
        image: (root) => {
          mkdirSync(root.path('proc/sys/kernel'), { recursive: true });
          symlinkSync(join(root.canaryDir, 'alive'), root.path('proc/sys/kernel/shmmni'));
          symlinkSync(root.canaryDir, root.path('proc/self'));
        },
      },
    );
    expect(said).toBe('99\n77\nNoNewPrivs:\t1\n');
  });
});

describeRoot('V07: directories of the image that are links', () => {
  const kinds: readonly (readonly [string, (root: BusyboxRoot, name: string) => string])[] = [
    ['absolute', (root) => root.canaryDir],
    ['relative', (root) => `../../../../../../../../../../..${root.canaryDir}`],
    ['looping', (_, name) => name],
  ];
  const cases = ['dev', 'proc', 'sys', 'etc', 'run'].flatMap((name) =>
    kinds.map(([kind, target]) => [name, kind, target] as const),
  );

  it.each(cases)('lead nowhere: /%s, %s', async (name, kind, target) => {
    const said = await attack('echo ran', {
      terminal: true,
      image: (root) => {
        rmSync(root.path(name), { recursive: true, force: true });
        symlinkSync(target(root, name), root.path(name));
      },
      change: (spec, root) =>
        withMounts(spec, bind('/etc/hosts', `${root.scratchDir}/../canary/alive`), bind('/run/x', root.canaryDir)),
    });
    const kernel = ['dev', 'proc', 'sys'].includes(name);
    expect(said).toBe(kernel || kind === 'looping' ? 'RUNTIME_START_FAILED' : 'ran\r\n');
  });
});

describeRoot('V08: a working directory below a link', () => {
  it.each(['/canary', 'relative'])('is made in the container: %s', async (kind) => {
    const said = await attack('pwd; touch made', {
      cwd: '/a/b/c',
      image: (root) =>
        symlinkSync(kind === 'relative' ? `../../../..${root.canaryDir}` : root.canaryDir, root.path('a')),
    });
    expect(said).toMatch(/^\/.*\/b\/c\n$/);
  });
});

describeRoot('V09: capabilities', () => {
  it.each([0, 1000])('are in no set from which files could give them, for user %i and in an exec', async (uid) => {
    await using container = await TestContainer.idle({ user: { uid, gid: uid } });
    const status = readFileSync(`/proc/${container.hostPid}/status`, 'utf8');
    const exec = await container.exec(['grep', 'Cap', '/proc/self/status']);
    const { stdout } = await exec.finished();
    for (const text of [status, stdout]) {
      expect(text).toMatch(/^CapInh:\t0{16}$/m);
      expect(text).toMatch(/^CapAmb:\t0{16}$/m);
      expect(text).toMatch(uid === 0 ? /^CapEff:\t00000000a80425fb$/m : /^CapEff:\t0{16}$/m);
      expect(text).toMatch(/^CapBnd:\t00000000a80425fb$/m);
    }
  });
});
