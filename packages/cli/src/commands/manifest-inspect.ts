import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, formatReference, isIndexArtifact, OCI_INDEX } from '@tsc/image';
import type { RegistryClient } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { failed } from '../errors.ts';
import { toggle } from '../flags/flag.ts';
import { entryOf, fetchArtifact, readPlatformOf } from '../manifest-list/entry.ts';
import type { ListEntry } from '../manifest-list/entry.ts';
import { describeEntry } from '../manifest-list/file.ts';
import { noSuchList, openListStore } from '../manifest-list/store.ts';
import { printLine } from '../output.ts';
import { withRegistries } from '../registry/client.ts';
import { readReference } from '../request/reference.ts';
import type { WrittenReference } from '../request/reference.ts';

/** Docker prints manifests with tabs, and lists of them with three spaces. */
const TAB = '\t';
const LIST_INDENT = 3;

export const command: Command = defineCommand({
  usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  summary: 'Display an image manifest, or manifest list',
  aliases: ['tsc manifest inspect'],
  flags: {
    insecure: toggle('Allow communication with an insecure registry'),
    verbose: toggle('Output additional info including layers and platform', { short: 'v' }),
  },
  least: 1,
  most: 2,
  unprivileged: true,
  run: async ({ values: { insecure, verbose }, positional }) => {
    const [first, second] = positional.map(readReference);
    if (first === undefined) return 1;
    const lists = openListStore();
    if (second !== undefined) {
      const entry = lists.find(first.full, second.full);
      if (entry === undefined) throw noSuchList(second.full);
      printManifest(entry, verbose);
      return 0;
    }
    const local = lists.read(first.full);
    if (local !== undefined) printLine(formatList(local, verbose));
    else {
      const insecureDomains = insecure ? [first.reference.domain] : [];
      await withRegistries((client) => printRemote(client, first, verbose), { insecureDomains });
    }
    return 0;
  },
});

function printManifest(entry: ListEntry, verbose: boolean): void {
  if (verbose) printLine(JSON.stringify(describeEntry(entry), undefined, TAB));
  else if (entry.bytes === undefined) throw failed(`${entry.reference} has no payload`);
  else printLine(JSON.stringify(JSON.parse(entry.bytes.toString('utf8')), undefined, TAB));
}

/** A list that isn't pushed yet, as it would be. */
function formatList(entries: readonly ListEntry[], verbose: boolean): string {
  if (verbose) return JSON.stringify(entries.map(describeEntry), undefined, TAB);
  const allDocker = entries.every(({ descriptor }) => descriptor.mediaType === DOCKER_MANIFEST);
  const list = {
    schemaVersion: 2,
    mediaType: allDocker ? DOCKER_MANIFEST_LIST : OCI_INDEX,
    manifests: entries.map(({ descriptor }) => descriptor),
  };
  return JSON.stringify(list, undefined, LIST_INDENT);
}

/** What a registry has under a name. */
async function printRemote(
  client: RegistryClient,
  { reference, full }: WrittenReference,
  verbose: boolean,
): Promise<void> {
  const nobody = { architecture: '', os: '' };
  if (!verbose) {
    const { bytes, descriptor } = await client.repository(reference).manifest(reference.digest ?? reference.tag ?? '');
    const indent = /index|list/.test(descriptor.mediaType) ? LIST_INDENT : TAB;
    printLine(JSON.stringify(JSON.parse(bytes.toString('utf8')), undefined, indent));
    return;
  }
  const artifact = await fetchArtifact(client, reference, undefined);
  if (!isIndexArtifact(artifact)) {
    const platform = (await readPlatformOf(artifact, undefined)) ?? nobody;
    printManifest(entryOf(full, artifact, platform), true);
    return;
  }
  const entries = artifact.manifests.map((member) => {
    const name = formatReference({ ...reference, digest: member.descriptor.digest });
    return entryOf(name, member, member.descriptor.platform ?? nobody);
  });
  printLine(JSON.stringify(entries.map(describeEntry), undefined, TAB));
}
