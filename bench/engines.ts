import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { findProgram, output, run } from './command.ts';
import type { Contender, Contenders, Place } from './contender.ts';

const IMAGE = 'bench';
const DAEMON_PATIENCE_MS = 30_000;

const rows = (name: string, program: string, options: readonly string[]): Contender[] =>
  ['none', 'bridge'].map((network) => ({
    name: `${name} run --rm, ${network}`,
    start: () => run(program, [...options, 'run', '--rm', '--network', network, IMAGE, '/bin/true']),
  }));

/** podman, with every directory of its own in ours. */
export function podmanContenders(place: Place): Promise<Contenders> {
  const program = findProgram('podman');
  const contenders: Contender[] = [];
  if (program !== undefined) {
    const options = [
      ...['--root', join(place.dir, 'podman'), '--runroot', join(place.runDir, 'podman')],
      ...['--tmpdir', join(place.runDir, 'podman-tmp'), '--network-config-dir', join(place.dir, 'podman-networks')],
      ...['--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
    ];
    output(program, [...options, 'import', place.archive, IMAGE]);
    contenders.push(...rows('podman', program, options));
  }
  return Promise.resolve({ contenders, [Symbol.asyncDispose]: () => Promise.resolve() });
}

/** docker, with a daemon that is started for the bench and stopped after it. */
export async function dockerContenders(place: Place): Promise<Contenders> {
  const [program, daemon] = [findProgram('docker'), findProgram('dockerd')];
  if (program === undefined || daemon === undefined) {
    return { contenders: [], [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const socket = `unix://${join(place.runDir, 'docker.sock')}`;
  const log = openSync(join(place.dir, 'dockerd.log'), 'w');
  const child = spawn(
    daemon,
    [
      ...['--data-root', join(place.dir, 'docker'), '--exec-root', join(place.runDir, 'docker')],
      ...['-H', socket, '--pidfile', join(place.runDir, 'docker.pid')],
    ],
    { stdio: ['ignore', log, log] },
  );
  await untilAnswers(program, ['-H', socket, 'version']);
  output(program, ['-H', socket, 'import', place.archive, IMAGE]);
  return {
    contenders: rows('docker', program, ['-H', socket]),
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function untilAnswers(program: string, args: readonly string[]): Promise<void> {
  const deadline = Date.now() + DAEMON_PATIENCE_MS;
  for (;;) {
    try {
      output(program, args);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}
