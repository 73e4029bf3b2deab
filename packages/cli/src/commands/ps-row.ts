import type { ContainerSummary, PortSpec } from '@tsc/engine';

import { goTimestamp, humanDuration } from '../format/duration.ts';
import type { Row } from '../format/listing.ts';
import { ellipsis, shortId } from '../format/shorten.ts';

/** What a container is for `ps` and its templates. */
export function containerRow(
  container: ContainerSummary,
  options: { readonly now: Date; readonly truncate: boolean },
): Row {
  const { now, truncate } = options;
  const command = joinCommand(container.command);
  const labels = Object.entries(container.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    Command: JSON.stringify(truncate ? ellipsis(command, 20) : command),
    CreatedAt: goTimestamp(container.created),
    ID: truncate ? shortId(container.id) : container.id,
    Image: container.image,
    Label: (name: unknown) => container.labels[String(name)] ?? '',
    Labels: labels.map(([key, value]) => `${key}=${value}`).join(','),
    Mounts: container.mounts.map((mount) => (truncate ? ellipsis(mount, 15) : mount)).join(','),
    Names: container.name,
    Networks: container.network,
    Ports: displayPorts(container.ports),
    RunningFor: ago(container.created, now),
    State: container.status,
    Status: displayStatus(container, now),
  };
}

/** The words of a command as one, those with spaces in single quotes. */
const joinCommand = ([path = '', ...operands]: readonly string[]): string =>
  [path, ...operands.map((operand) => (operand.includes(' ') ? `'${operand}'` : operand))].join(' ');

const ago = (moment: Date, now: Date): string => `${humanDuration(now.getTime() - moment.getTime())} ago`;

export function displayStatus(container: ContainerSummary, now: Date): string {
  const { status, exitCode, startedAt, finishedAt } = container;
  switch (status) {
    case 'running':
      return startedAt === undefined ? 'Up' : `Up ${humanDuration(now.getTime() - startedAt.getTime())}`;
    case 'restarting':
      return `Restarting (${exitCode})${finishedAt === undefined ? '' : ` ${ago(finishedAt, now)}`}`;
    case 'exited':
      return `Exited (${exitCode})${finishedAt === undefined ? '' : ` ${ago(finishedAt, now)}`}`;
    case 'created':
      return 'Created';
    case 'dead':
      return 'Dead';
  }
}

/** `0.0.0.0:8000-8001->80-81/tcp, 443/tcp`: neighbouring ports together. */
export function displayPorts(ports: readonly PortSpec[]): string {
  const sorted = ports.toSorted(
    (a, b) =>
      (a.hostAddress ?? '').localeCompare(b.hostAddress ?? '') ||
      a.protocol.localeCompare(b.protocol) ||
      a.containerPort - b.containerPort ||
      (a.hostPort ?? 0) - (b.hostPort ?? 0),
  );
  const runs: PortSpec[][] = [];
  for (const port of sorted) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last !== undefined && follows(last, port)) run.push(port);
    else runs.push([port]);
  }
  const published = runs.filter(([first]) => first?.hostPort !== undefined);
  const exposed = runs.filter(([first]) => first?.hostPort === undefined);
  return [...published, ...exposed].map(displayRun).join(', ');
}

const follows = (last: PortSpec, port: PortSpec): boolean =>
  last.protocol === port.protocol &&
  last.hostAddress === port.hostAddress &&
  last.containerPort + 1 === port.containerPort &&
  (last.hostPort === undefined ? port.hostPort === undefined : last.hostPort + 1 === port.hostPort);

function displayRun(run: readonly PortSpec[]): string {
  const [first] = run;
  const last = run.at(-1);
  if (first === undefined || last === undefined) return '';
  const container = span(first.containerPort, last.containerPort);
  if (first.hostPort === undefined) return `${container}/${first.protocol}`;
  const host = span(first.hostPort, last.hostPort ?? first.hostPort);
  return `${first.hostAddress ?? '0.0.0.0'}:${host}->${container}/${first.protocol}`;
}

const span = (first: number, last: number): string => (first === last ? String(first) : `${first}-${last}`);
