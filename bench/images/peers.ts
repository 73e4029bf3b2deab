import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { findProgram, output } from '../command.ts';
import type { Place } from '../contender.ts';
import { startDaemon } from './daemon.ts';
import { commandTransfer, debianProgram, type CommandTransfer } from './transfer.ts';

type Recipe = Omit<CommandTransfer, 'column'>;

/** How another program does what is measured here. `undefined`: it can't, or isn't installed. */
export interface Peer extends AsyncDisposable {
  unpack?(layer: string): Recipe;
  pull?(reference: string, layers: readonly string[]): Recipe;
  /** Takes the image first, untimed. */
  push?(source: string, target: string): Recipe;
  load?(archive: string, name: string): Recipe;
}

export { commandTransfer };

type Where = Pick<Place, 'dir' | 'runDir'>;
const nothing = (): Promise<void> => Promise.resolve();
const empty = (dir: string): void => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
};

const EXTRACT = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpzf'] as const;

/** GNU tar with gzip: the lower bound for whoever has to write the same files. */
export function gnuTar({ dir }: Where): Peer {
  const target = join(dir, 'gnu-tar');
  const each = (layers: readonly string[]): Recipe => {
    const reset = (): void => {
      for (const [n] of layers.entries()) empty(join(target, String(n)));
    };
    reset();
    return { commands: layers.map((layer, n) => ['tar', '-C', join(target, String(n)), ...EXTRACT, layer]), reset };
  };
  return {
    unpack: (layer) => each([layer]),
    pull: (_reference, layers) => each(layers),
    [Symbol.asyncDispose]: nothing,
  };
}

/** docker with a daemon of its own, which does the work and whose memory counts. */
export async function docker({ dir, runDir }: Where): Promise<Peer | undefined> {
  const [program, server] = [debianProgram('docker'), findProgram('dockerd')];
  if (program === undefined || server === undefined) return undefined;
  const socket = `unix://${join(runDir, 'docker.sock')}`;
  const daemon = await startDaemon(
    server,
    [
      ...['--data-root', join(dir, 'docker'), '--exec-root', join(runDir, 'docker'), '-H', socket],
      ...['--pidfile', join(runDir, 'docker.pid'), '--storage-driver', 'overlay2'],
      ...['--iptables=false', '--bridge=none'],
    ],
    {
      logFile: join(dir, 'dockerd.log'),
      answers: () => new Promise<void>((resolve) => resolve(void output(program, ['-H', socket, 'version']))),
    },
  );
  const cli = [program, '-H', socket];
  const remove = (name: string) => (): void => {
    output(program, ['-H', socket, 'rmi', '-f', name]);
  };
  return {
    pull: (reference) => ({
      commands: [[...cli, 'pull', '-q', reference]],
      reset: remove(reference),
      serverPid: daemon.pid,
    }),
    push: (source, target) => {
      for (const args of [
        ['pull', '-q', source],
        ['tag', source, target],
      ])
        output(program, ['-H', socket, ...args]);
      return { commands: [[...cli, 'push', '-q', target]], reset: () => undefined, serverPid: daemon.pid };
    },
    load: (archive, name) => ({
      commands: [[...cli, 'load', '-q', '-i', archive]],
      reset: remove(name),
      serverPid: daemon.pid,
    }),
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

/** podman, with every directory of its own in ours. */
export function podman({ dir, runDir }: Where): Peer | undefined {
  const program = findProgram('podman');
  if (program === undefined) return undefined;
  const options = [
    ...['--root', join(dir, 'podman'), '--runroot', join(runDir, 'podman'), '--tmpdir', join(runDir, 'podman-tmp')],
    ...['--network-config-dir', join(dir, 'podman-networks'), '--storage-driver', 'overlay'],
    ...['--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
  ];
  const remove = (name: string) => (): void => {
    output(program, [...options, 'rmi', '-f', name]);
  };
  const plain = '--tls-verify=false';
  return {
    pull: (reference) => ({
      commands: [[program, ...options, 'pull', '-q', plain, reference]],
      reset: remove(reference),
    }),
    push: (source, target) => {
      output(program, [...options, 'pull', '-q', plain, source]);
      return {
        commands: [[program, ...options, 'push', '-q', plain, source, `docker://${target}`]],
        reset: () => undefined,
      };
    },
    load: (archive, name) => ({ commands: [[program, ...options, 'load', '-q', '-i', archive]], reset: remove(name) }),
    [Symbol.asyncDispose]: nothing,
  };
}

/** skopeo into an OCI layout, and umoci from there into a bundle. */
export function skopeoAndUmoci({ dir }: Where): Peer | undefined {
  const [skopeo, umoci] = [findProgram('skopeo'), findProgram('umoci')];
  if (skopeo === undefined || umoci === undefined) return undefined;
  const [layout, bundle] = [join(dir, 'umoci-layout'), join(dir, 'umoci-bundle')];
  const copy = [skopeo, '--insecure-policy', 'copy', '-q', '--src-tls-verify=false', '--dest-tls-verify=false'];
  return {
    pull: (reference) => ({
      commands: [
        [...copy, `docker://${reference}`, `oci:${layout}:bench`],
        [umoci, 'unpack', '--image', `${layout}:bench`, bundle],
      ],
      reset: () => {
        for (const made of [layout, bundle]) rmSync(made, { recursive: true, force: true });
      },
    }),
    [Symbol.asyncDispose]: nothing,
  };
}
