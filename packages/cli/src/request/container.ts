import type { ContainerSpec } from '@tsc/engine';

import { defineCommand } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { badValue } from '../errors.ts';
import { list, text, toggle, value } from '../flags/flag.ts';
import type { Flags, FlagValues } from '../flags/flag.ts';
import { lifecycleGroup } from './lifecycle.ts';
import type { ImageRequest, PullPolicy } from './missing-image.ts';
import { networkGroup } from './network.ts';
import { processGroup } from './process.ts';
import { resourceGroup } from './resources.ts';
import { securityGroup } from './security.ts';
import { storageGroup } from './storage.ts';

/** Everything that `run` and `create` were asked. */
export interface ContainerRequest {
  readonly spec: ContainerSpec;
  readonly publishAll: boolean;
  readonly cidFile: string | undefined;
  readonly image: ImageRequest;
  /** Streams to join; the command's own choice when none is named. */
  readonly attach: readonly StreamName[];
}
export type StreamName = 'stdin' | 'stdout' | 'stderr';

const NOT_YET = [
  'annotation', 'blkio-weight', 'blkio-weight-device', 'cgroup-parent', 'cgroupns', 'cpu-count', 'cpu-percent',
  'cpu-rt-period', 'cpu-rt-runtime', 'device', 'device-cgroup-rule', 'device-read-bps', 'device-read-iops',
  'device-write-bps', 'device-write-iops', 'disable-content-trust', 'expose', 'gpus', 'health-cmd', 'health-interval',
  'health-retries', 'health-start-interval', 'health-start-period', 'health-timeout', 'io-maxbandwidth', 'io-maxiops',
  'ip', 'ip6', 'ipc', 'isolation', 'kernel-memory', 'link', 'link-local-ip', 'mac-address', 'net-alias',
  'network-alias', 'no-healthcheck', 'pid', 'runtime', 'storage-opt', 'use-api-socket', 'userns', 'uts',
  'volume-driver', 'volumes-from',
]; // prettier-ignore

const ownFlags = {
  attach: list('Attach to STDIN, STDOUT or STDERR', { short: 'a' }, parseStream),
  cidfile: text('Write the container ID to the file'),
  platform: text('Set platform if server is multi-platform capable'),
  pull: value('Pull image before running ("always", "missing", "never")', parsePullPolicy, {
    shownDefault: '"missing"',
  }),
  quiet: toggle('Suppress the pull output', { short: 'q' }),
};

const groups = [processGroup, resourceGroup, securityGroup, networkGroup, storageGroup, lifecycleGroup] as const;

/** Defines a command that takes Docker's flags for a new container, and `flags` of its own. */
export function defineContainerCommand<F extends Flags>(words: {
  readonly summary: string;
  readonly aliases: readonly string[];
  readonly flags: F;
  run(request: ContainerRequest, invocation: Invocation<F>): Promise<number>;
}): Command {
  const flags: Flags = Object.assign({}, ownFlags, words.flags, ...groups.map((group) => group.flags)) as Flags;
  return defineCommand({
    usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
    summary: words.summary,
    aliases: words.aliases,
    flags,
    notYet: NOT_YET,
    interspersed: false,
    least: 1,
    failureCode: 125,
    run: (invocation) => words.run(readRequest(invocation), invocation as unknown as Invocation<F>),
  });
}

export function readRequest({
  values,
  positional,
}: Pick<Invocation<Flags>, 'values' | 'positional'>): ContainerRequest {
  const own = values as unknown as FlagValues<typeof ownFlags>;
  const { publishAll, ...network } = networkGroup.read(values);
  const resources = resourceGroup.read(values);
  const [image = '', ...command] = positional;
  if (image === '') throw badValue('invalid reference format');
  const spec: ContainerSpec = {
    image,
    ...(command.length === 0 ? {} : { command }),
    ...processGroup.read(values),
    ...(resources === undefined ? {} : { resources }),
    ...securityGroup.read(values),
    ...network,
    ...storageGroup.read(values),
    ...lifecycleGroup.read(values),
  };
  const { pull = 'missing', platform, quiet } = own;
  return { spec, publishAll, cidFile: own.cidfile, image: { image, pull, platform, quiet }, attach: own.attach };
}

function parseStream(word: string): StreamName {
  const stream = word.toLowerCase();
  if (stream === 'stdin' || stream === 'stdout' || stream === 'stderr') return stream;
  throw badValue('valid streams are STDIN, STDOUT and STDERR');
}

function parsePullPolicy(word: string): PullPolicy {
  if (word === 'always' || word === 'missing' || word === 'never') return word;
  throw badValue(`invalid pull option: '${word}': must be one of "always", "missing" or "never"`);
}
