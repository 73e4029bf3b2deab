import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';

import { diffSnapshots, snapshotHost } from './leaks.ts';
import { describeRoot, expectUnchanged, testDir, testMarker } from './root.ts';

/** What a leak of `make` is reported as, while `undo` is held back. */
function reported<T>(make: () => T, undo: (made: T) => void): string[] {
  const before = snapshotHost();
  const made = make();
  try {
    return diffSnapshots(before, snapshotHost());
  } finally {
    undo(made);
  }
}

const cgroupRoot = (): string => {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((entry) => / - cgroup2? /.test(entry));
  return line?.split(' ')[4] ?? '/sys/fs/cgroup';
};

describeRoot('the harness reports', () => {
  it('a mount that stayed', () => {
    const dir = mkdtempSync(join(tmpdir(), 'mount-'));
    const found = reported(
      () => execFileSync('mount', ['-t', 'tmpfs', 'leak', dir]),
      () => execFileSync('umount', [dir]),
    );
    expect(found).toEqual([expect.stringMatching(`^leaked mount: .* ${dir} .* - tmpfs leak `)]);
    rmdirSync(dir);
  });

  it('a descriptor that stayed open', () => {
    const found = reported(() => openSync('/etc/passwd', 'r'), closeSync);
    expect(found).toEqual(['leaked descriptor: /etc/passwd']);
  });

  it('a namespace that only a descriptor holds', () => {
    const found = reported(() => openSync('/proc/self/ns/net', 'r'), closeSync);
    expect(found).toEqual([expect.stringMatching(/^leaked descriptor: net:\[\d+\]$/)]);
  });

  it('a cgroup that stayed', () => {
    const dir = join(cgroupRoot(), `${testMarker}-leak`);
    expect(
      reported(
        () => mkdirSync(dir),
        () => {
          rmdirSync(dir);
        },
      ),
    ).toEqual([`leaked cgroup: ${dir}`]);
  });

  it('a process that still runs', async () => {
    const before = snapshotHost();
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const found = diffSnapshots(before, snapshotHost());
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(found).toEqual([
      expect.stringMatching(`^leaked process: sleep \\(pid ${String(child.pid)}, .*sleep 1000\\)$`),
    ]);
  });

  it('an orphan, by the marker in its environment, and the namespaces it is in', async () => {
    const before = snapshotHost();
    const pid = Number(
      execFileSync('sh', ['-c', 'unshare --net sleep 1000 >/dev/null 2>&1 & echo $!'], { encoding: 'utf8' }),
    );
    const waiting = performance.now() + 5_000;
    const isIn = (): boolean =>
      diffSnapshots(before, snapshotHost()).some((line) => line.startsWith('leaked namespace: net:'));
    while (!isIn() && performance.now() < waiting) await new Promise((resolve) => setTimeout(resolve, 10));
    const found = diffSnapshots(before, snapshotHost());
    process.kill(pid, 'SIGKILL');
    expect(found).toEqual([
      expect.stringMatching(/^leaked namespace: net:\[\d+\]$/),
      expect.stringMatching(`^leaked process: sleep \\(pid ${String(pid)}, `),
    ]);
  });

  it('a network link that stayed', () => {
    const name = `${testMarker}l`;
    const found = reported(
      () => execFileSync('ip', ['link', 'add', name, 'type', 'bridge']),
      () => execFileSync('ip', ['link', 'delete', name]),
    );
    expect(found).toEqual([`leaked link: ${name}`]);
  });

  it('a table of rules that stayed', () => {
    const found = reported(
      () => execFileSync('nft', ['add', 'table', 'inet', testMarker]),
      () => execFileSync('nft', ['delete', 'table', 'inet', testMarker]),
    );
    expect(found).toEqual([`leaked nf_tables rule: {"table":{"family":"inet","name":"${testMarker}"}}`]);
  });

  it('a file left in the temporary directory', () => {
    expect(tmpdir()).toBe(testDir);
    expect(
      reported(
        () => mkdirSync(join(tmpdir(), 'left')),
        () => {
          rmdirSync(join(tmpdir(), 'left'));
        },
      ),
    ).toEqual(['leaked file: left']);
  });

  it('a mount of the host that is gone', () => {
    const before = snapshotHost({ wholeHost: true });
    const after = { ...before, mount: before.mount.slice(1) };
    expect(diffSnapshots(before, after)).toEqual([`lost mount of the host: ${before.mount[0] ?? ''}`]);
  });

  it('what carries no marker only where the whole host is ours', () => {
    const dir = join(cgroupRoot(), `unmarked-${String(process.pid)}`);
    const [marked, whole] = [snapshotHost({ wholeHost: false }), snapshotHost({ wholeHost: true })];
    mkdirSync(dir);
    const found = diffSnapshots(marked, snapshotHost({ wholeHost: false }));
    const foundOnHost = diffSnapshots(whole, snapshotHost({ wholeHost: true }));
    rmdirSync(dir);
    expect(found).toEqual([]);
    expect(foundOnHost).toContain(`leaked cgroup: ${dir}`);
  });
});

describeRoot('the harness waits', () => {
  it('for what ends by itself within its time', async () => {
    const before = snapshotHost();
    const child = spawn('sleep', ['0.1'], { stdio: 'ignore' });
    await once(child, 'spawn');
    await expectUnchanged(before);
  });

  it('no longer than that', async () => {
    const before = snapshotHost();
    const fd = openSync('/etc/passwd', 'r');
    await expect(expectUnchanged(before, 50)).rejects.toThrow(
      /left the host changed:\n {2}leaked descriptor: \/etc\/passwd$/,
    );
    closeSync(fd);
  });
});

describeRoot('what a suite makes around its tests', () => {
  let fd: number | undefined;
  let perTest: number;
  beforeAll(() => {
    fd = openSync('/etc/passwd', 'r');
  });
  afterAll(() => {
    if (fd !== undefined) closeSync(fd);
  });
  afterEach(() => {
    closeSync(perTest);
  });

  it('is no leak, nor what its own afterEach removes', () => {
    perTest = openSync('/etc/group', 'r');
    expect(fd).toBeDefined();
  });
});
