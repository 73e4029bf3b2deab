import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { testMarker } from './marker.ts';
import { namespacesOf, ourProcesses, processLabel } from './processes.ts';

/** What a test can leave behind on its host: for each kind, a multiset of descriptions. */
export type HostSnapshot = Readonly<Record<Kind, readonly string[]>>;

const kinds = ['mount', 'namespace', 'link', 'nf_tables rule', 'cgroup', 'process', 'descriptor', 'file'] as const;
type Kind = (typeof kinds)[number];

export interface SnapshotOptions {
  /**
   * `true`: everything new on this machine counts, which needs a quiet machine (default where `CI` is set).
   * `false`: only what carries this run's marker in its name counts, because others use the same kernel meanwhile.
   * Processes, namespaces and descriptors are always told apart by whose they are.
   */
  readonly wholeHost?: boolean | undefined;
}

/** Kinds whose disappearance is damage too: a test may not take away what the host had before. */
const heldByHost: ReadonlySet<Kind> = new Set(['mount', 'link', 'nf_tables rule', 'cgroup']);

export function snapshotHost({ wholeHost = Boolean(process.env['CI']) }: SnapshotOptions = {}): HostSnapshot {
  const inScope = (name: string): boolean => wholeHost || name.includes(testMarker);
  const mounts = linesOf('/proc/self/mountinfo');
  const processes = ourProcesses({ unmarkedInits: wholeHost });
  return {
    mount: mounts.filter(inScope),
    namespace: namespacesOf(processes),
    link: readdirSync('/sys/class/net').filter(inScope),
    'nf_tables rule': nftRules().filter(inScope),
    cgroup: mounts.flatMap(cgroupMountPoint).flatMap(cgroupsBelow).filter(inScope),
    process: processes.filter(({ pid }) => pid !== process.pid).map(processLabel),
    descriptor: ownDescriptors(),
    file: temporaryFiles(),
  };
}

/** What `after` has that `before` had not, and what of the host's is gone: one readable line each. */
export function diffSnapshots(before: HostSnapshot, after: HostSnapshot): string[] {
  return kinds.flatMap((kind) => [
    ...subtract(after[kind], before[kind]).map((item) => `leaked ${kind}: ${item}`),
    ...(heldByHost.has(kind) ? subtract(before[kind], after[kind]) : [])
      .filter((item) => !item.includes(testMarker))
      .map((item) => `lost ${kind} of the host: ${item}`),
  ]);
}

function subtract(items: readonly string[], known: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const item of known) counts.set(item, (counts.get(item) ?? 0) + 1);
  return items.filter((item) => {
    const count = counts.get(item) ?? 0;
    counts.set(item, count - 1);
    return count <= 0;
  });
}

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n');

const cgroupMountPoint = (mountinfoLine: string): string[] => {
  const [before = '', after = ''] = mountinfoLine.split(' - ');
  return /^cgroup2? /.test(after) ? [before.split(' ')[4] ?? ''] : [];
};

const readDirectory = (dir: string) => readdirSync(dir, { withFileTypes: true });

const entriesOf = (dir: string): ReturnType<typeof readDirectory> => {
  try {
    return readDirectory(dir);
  } catch {
    return []; // gone between two looks
  }
};

const childDirectories = (dir: string): string[] =>
  entriesOf(dir)
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `${dir}/${name}`);

function directoriesBelow(dir: string): string[] {
  return childDirectories(dir).flatMap((child) => [child, ...directoriesBelow(child)]);
}

/** Groups of services that ran before the tests did: what they make and remove below is theirs. */
const groupsOfServices: ReadonlySet<string> = new Set(
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => cgroupMountPoint(line))
    .flatMap((mountPoint) => childDirectories(mountPoint))
    .filter((path) => !/\/tsc[^/]*$/.test(path)),
);

const cgroupsBelow = (mountPoint: string): string[] =>
  childDirectories(mountPoint).flatMap((path) => [path, ...(groupsOfServices.has(path) ? [] : directoriesBelow(path))]);

/** Left in the directory that `describeRoot` gives as the temporary one, whatever lies deeper. */
const temporaryFiles = (): string[] => entriesOf(process.env['TMPDIR'] ?? '').map(({ name }) => name);

/** Pipes, sockets and anonymous inodes have numbers of their own each time; only how many there are is compared. */
function ownDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`).replace(/^(pipe|socket|anon_inode):\[\d+\]$/, '$1')];
    } catch {
      return []; // the descriptor that readdir itself used
    }
  });
}

/** The rules of this network namespace as Debian's `nft` lists them, without handles and counters. */
function nftRules(): string[] {
  let listing: string;
  try {
    listing = execFileSync('nft', ['-j', 'list', 'ruleset'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return []; // nft is not installed, or this kernel has no nf_tables: then no test made rules either
  }
  const { nftables } = JSON.parse(listing) as { nftables: object[] };
  return nftables
    .filter((item) => !('metainfo' in item))
    .map((item) => JSON.stringify(item, (key, value: unknown) => (volatileKeys.has(key) ? undefined : value)));
}
const volatileKeys: ReadonlySet<string> = new Set(['handle', 'packets', 'bytes', 'expires']);
