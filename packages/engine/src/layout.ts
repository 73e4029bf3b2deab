import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where an engine keeps things. What has to survive a reboot is below `rootDir`, what must not is below `runDir`. */
export interface Layout {
  readonly rootDir: string;
  readonly runDir: string;
}

export const DEFAULT_LAYOUT: Layout = { rootDir: '/var/lib/tsc', runDir: '/run/tsc' };

export const containersDir = ({ rootDir }: Layout): string => join(rootDir, 'containers');
/** A symbolic link for every name, to the id: making a link is how a name is taken. */
export const namesDir = ({ rootDir }: Layout): string => join(rootDir, 'names');
export const volumesDir = ({ rootDir }: Layout): string => join(rootDir, 'volumes');
/**
 * The lowest layer of every container: the directories and files that are mounted over, so that no container has to make
 * them in its own layer.
 */
export const mountPointsDir = ({ rootDir }: Layout): string => join(rootDir, 'mount-points');
/** Over this directory each container mounts its root for a moment, in a mount namespace of its own. */
export const scratchDir = ({ runDir }: Layout): string => join(runDir, 'rootfs');
/** Compiled seccomp filters. */
export const filtersDir = ({ runDir }: Layout): string => join(runDir, 'filters');
export const networkDir = ({ runDir }: Layout): string => join(runDir, 'network');
export const runningDir = ({ runDir }: Layout): string => join(runDir, 'containers');

/** The files of one container. */
export interface ContainerPaths {
  /** Its lock is held by whoever changes the container. */
  readonly dir: string;
  readonly record: string;
  readonly ociConfig: string;
  readonly log: string;
  readonly logName: string;
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
  readonly runDir: string;
  /** Held by the monitor while it lives: whether a container runs is whether this is locked. */
  readonly runLock: string;
  readonly socket: string;
  readonly started: string;
  readonly exit: string;
}

export function containerPaths(layout: Layout, id: string): ContainerPaths {
  const dir = join(containersDir(layout), id);
  const runDir = join(runningDir(layout), id);
  const logName = `${id}-json.log`;
  return {
    dir,
    record: join(dir, 'container.json'),
    ociConfig: join(runDir, 'config.json'),
    log: join(dir, logName),
    logName,
    hostname: join(runDir, 'hostname'),
    hosts: join(runDir, 'hosts'),
    resolvConf: join(runDir, 'resolv.conf'),
    runDir,
    runLock: join(runDir, 'lock'),
    socket: join(runDir, 'monitor.sock'),
    started: join(runDir, 'started'),
    exit: join(runDir, 'exit'),
  };
}

/** Makes the directories, for root alone: layers hold setuid programs that no user of the host may reach. */
export function makeLayout(layout: Layout): void {
  const dirs = [containersDir, namesDir, volumesDir, scratchDir, networkDir, runningDir].map((dir) => dir(layout));
  for (const dir of dirs) mkdirSync(dir, { recursive: true, mode: 0o700 });
  makeMountPoints(mountPointsDir(layout));
}

/** What every container gets something mounted over, as an image would have it. */
function makeMountPoints(dir: string): void {
  const last = join(dir, 'etc', 'resolv.conf');
  if (existsSync(last)) return;
  for (const path of ['dev', 'proc', 'sys', 'etc']) mkdirSync(join(dir, path), { recursive: true, mode: 0o755 });
  chmodSync(dir, 0o755);
  for (const path of ['hostname', 'hosts', 'resolv.conf']) writeFileSync(join(dir, 'etc', path), '', { mode: 0o644 });
}

/**
 * A short name for what is the kernel's and not a file (bridge, cgroup): `tsc` for the default place, and one of its own
 * for every other, so that two engines side by side stay out of each other's way.
 */
export function kernelName(layout: Layout): string {
  if (layout.runDir === DEFAULT_LAYOUT.runDir) return 'tsc';
  return `tsc-${createHash('sha256').update(layout.runDir).digest('hex').slice(0, 6)}`;
}
