import {
  composeIndex,
  describeArtifact,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_INDEX,
  parseReference,
  pushArtifact,
} from '@tsc/image';
import type { Artifact, RegistryClient } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { failed } from '../errors.ts';
import { toggle } from '../flags/flag.ts';
import { fetchArtifact } from '../manifest-list/entry.ts';
import type { ListEntry } from '../manifest-list/entry.ts';
import { noSuchList, openListStore } from '../manifest-list/store.ts';
import { printLine } from '../output.ts';
import { withRegistries } from '../registry/client.ts';
import { readReference } from '../request/reference.ts';
import type { WrittenReference } from '../request/reference.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] MANIFEST_LIST',
  summary: 'Push a manifest list to a repository',
  aliases: ['tsc manifest push'],
  flags: {
    insecure: toggle('Allow push to an insecure registry'),
    purge: toggle('Remove the local manifest list after push', { short: 'p' }),
  },
  least: 1,
  most: 1,
  unprivileged: true,
  run: async ({ values: { insecure, purge }, positional: [listWord = ''] }) => {
    const target = readReference(listWord);
    const lists = openListStore();
    const entries = lists.read(target.full);
    if (entries === undefined) throw noSuchList(target.full);
    if (entries.length === 0) throw failed(`${target.full} not found`);
    for (const entry of entries) requirePlatform(entry);
    const domains = insecure ? domainsOf([target.full, ...entries.map(({ reference }) => reference)]) : [];
    await withRegistries((client) => push(client, target, entries), { insecureDomains: domains });
    if (purge) lists.remove(target.full);
    return 0;
  },
});

async function push(client: RegistryClient, target: WrittenReference, entries: readonly ListEntry[]): Promise<void> {
  const members: Artifact[] = [];
  const moved: string[] = [];
  const mountFrom = new Set<string>();
  for (const { reference, descriptor } of entries) {
    const from = { ...parseReference(reference), digest: descriptor.digest };
    const artifact = await fetchArtifact(client, from, undefined);
    members.push(describeArtifact(artifact, { platform: descriptor.platform }));
    const { domain, path } = target.reference;
    if (from.domain === domain) mountFrom.add(from.path);
    if (from.domain !== domain || from.path !== path) {
      moved.push(`Pushed ref ${domain}/${path}@${descriptor.digest} with digest: ${descriptor.digest}`);
    }
  }
  const allDocker = members.every(({ descriptor }) => descriptor.mediaType === DOCKER_MANIFEST);
  const index = composeIndex(members, { mediaType: allDocker ? DOCKER_MANIFEST_LIST : OCI_INDEX });
  for await (const event of pushArtifact(client, target.reference, index, { mountFrom: [...mountFrom] })) {
    if (event.type !== 'pushed') continue;
    for (const line of moved) printLine(line);
    printLine(event.descriptor.digest);
  }
}

function requirePlatform({ reference, descriptor: { platform } }: ListEntry): void {
  if (platform !== undefined && platform.os !== '' && platform.architecture !== '') return;
  throw failed(`manifest ${reference} must have an OS and Architecture to be pushed to a registry`);
}

function domainsOf(references: readonly string[]): readonly string[] {
  return references.map((reference) => parseReference(reference).domain);
}
