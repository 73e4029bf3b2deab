import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openRouteSocket, setLoopbackUp } from '@tsc/netlink';

import { output } from './command.ts';

const INSIDE = 'TSC_BENCH_ARENA';
/** What docker and podman make in every cgroup hierarchy and leave there. */
const LEFT_CGROUPS = ['docker', 'libpod_parent'];

/**
 * Runs this program again where the others can't leave anything: in new network, mount and process id namespaces, which
 * end with it and take with them every bridge, rule, mount and daemon. Returns the directory to work in, or, in the
 * first program, `undefined` when the second has ended.
 */
export async function enterArena(): Promise<string | undefined> {
  const inside = process.env[INSIDE];
  if (inside !== undefined) {
    furnish(inside);
    return inside;
  }
  const dir = mkdtempSync(join(tmpdir(), 'tsc-bench-'));
  const before = new Set(leftCgroups());
  try {
    process.exitCode = await runInside(dir);
  } finally {
    for (const cgroup of leftCgroups().filter((path) => !before.has(path))) removeTree(cgroup);
    rmSync(dir, { recursive: true, force: true });
  }
  return undefined;
}

async function runInside(dir: string): Promise<number> {
  const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const flags = ['--net', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  // The shell is process 1, which has to reap what daemons leave to it.
  const child = spawn('unshare', [...flags, 'sh', '-c', '"$@"; exit $?', 'sh', ...program], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: dir },
  });
  process.once('SIGINT', () => undefined); // the child gets it as well, and there is something to sweep after it
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** A `/run` and a `/dev/shm` of our own, the loopback device up, and cgroups that all contenders can work with. */
function furnish(dir: string): void {
  output('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'none', '/run']);
  if (!dir.startsWith('/dev/shm/')) output('mount', ['-t', 'tmpfs', 'none', '/dev/shm']); // podman's locks
  // crun refuses a v2 tree beside v1, so nobody gets one.
  const unified = '/sys/fs/cgroup/unified';
  if (existsSync(unified)) output('umount', [unified]);
  using route = openRouteSocket();
  route.batch([setLoopbackUp()]);
}

function leftCgroups(): string[] {
  const root = '/sys/fs/cgroup';
  const hierarchies = [root, ...readdirSync(root).map((name) => join(root, name))];
  return hierarchies.flatMap((hierarchy) =>
    LEFT_CGROUPS.map((name) => join(hierarchy, name)).filter((path) => existsSync(path)),
  );
}

function removeTree(cgroup: string): void {
  for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(cgroup, entry.name));
  }
  rmdirSync(cgroup);
}
