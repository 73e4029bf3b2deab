import type { ContainerSummary } from '@tsc/engine';

import { badValue, failed } from '../errors.ts';
import { matchesAny, matchesLabels, parseFilters } from '../format/filter.ts';
import type { Filters } from '../format/filter.ts';
import { parseExposed } from '../words/ports.ts';

const KEYS = [
  'ancestor', 'before', 'exited', 'expose', 'id', 'label', 'name', 'network', 'publish', 'since', 'status', 'volume',
]; // prettier-ignore
const STATUSES = ['created', 'running', 'restarting', 'exited', 'dead', 'paused', 'removing'];

export function parseContainerFilters(words: readonly string[]): Filters {
  const filters = parseFilters(words, KEYS);
  for (const status of filters.get('status') ?? []) {
    if (!STATUSES.includes(status)) throw badValue(`invalid filter 'status=${status}'`);
  }
  for (const code of filters.get('exited') ?? []) {
    if (!/^\d+$/.test(code)) throw badValue(`invalid filter 'exited=${code}'`);
  }
  return filters;
}

/** These ask about containers that don't run, so they look at all. */
export const asksForAll = (filters: Filters): boolean => filters.has('status') || filters.has('exited');

/** The containers that every filter lets through; `all` is every container there is, newest first. */
export function selectContainers(all: readonly ContainerSummary[], filters: Filters): readonly ContainerSummary[] {
  const before = moment(all, filters, 'before');
  const since = moment(all, filters, 'since');
  return all.filter(
    (container) =>
      matches(container, filters) &&
      (before === undefined || container.created < before) &&
      (since === undefined || container.created > since),
  );
}

function matches(container: ContainerSummary, filters: Filters): boolean {
  return (
    matchesLabels(filters, container.labels) &&
    matchesAny(filters, 'id', (id) => container.id.startsWith(id)) &&
    matchesAny(
      filters,
      'name',
      (name) => pattern(name).test(container.name) || pattern(name).test(`/${container.name}`),
    ) &&
    matchesAny(filters, 'status', (status) => container.status === status) &&
    matchesAny(filters, 'exited', (code) => container.status === 'exited' && container.exitCode === Number(code)) &&
    matchesAny(filters, 'ancestor', (image) => isImage(container, image)) &&
    matchesAny(filters, 'network', (network) => container.network === network) &&
    matchesAny(filters, 'volume', (volume) => container.mounts.includes(volume)) &&
    matchesAny(filters, 'expose', (word) => hasPort(container, word, (port) => port.containerPort)) &&
    matchesAny(filters, 'publish', (word) => hasPort(container, word, (port) => port.hostPort))
  );
}

function moment(all: readonly ContainerSummary[], filters: Filters, key: string): Date | undefined {
  const reference = filters.get(key)?.at(-1);
  if (reference === undefined) return undefined;
  const container = all.find(({ id, name }) => name === reference || id.startsWith(reference));
  if (container === undefined) throw failed(`no such container: ${reference}`);
  return container.created;
}

function pattern(word: string): RegExp {
  try {
    return new RegExp(word);
  } catch {
    throw badValue(`invalid filter 'name=${word}': it is not a regular expression`);
  }
}

function isImage({ image, imageId }: ContainerSummary, wanted: string): boolean {
  const id = imageId.replace(/^sha256:/, '');
  if (image === wanted || image === `${wanted}:latest` || `${image}:latest` === wanted) return true;
  return wanted.length >= 4 && (id.startsWith(wanted) || imageId.startsWith(wanted));
}

const hasPort = (
  container: ContainerSummary,
  word: string,
  pick: (port: ContainerSummary['ports'][number]) => number | undefined,
): boolean => {
  const wanted = parseExposed(word);
  return container.ports.some((port) => wanted.some((w) => w.port === pick(port) && w.protocol === port.protocol));
};
