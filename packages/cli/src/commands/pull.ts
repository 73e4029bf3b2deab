import { pullImage } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { failed } from '../errors.ts';
import { text, toggle } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { followPull, pullSummary } from '../progress/pull.ts';
import { openView, silentView } from '../progress/view.ts';
import { contentTrustFlag, refuseContentTrust } from '../registry/content-trust.ts';
import { transfer } from '../registry/transfer.ts';
import type { TransferMeans } from '../registry/transfer.ts';
import { readPlatform, readReference, refuseTag } from '../request/reference.ts';
import type { WrittenReference } from '../request/reference.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  summary: 'Download an image from a registry',
  aliases: ['tsc image pull', 'tsc pull'],
  flags: {
    'all-tags': toggle('Download all tagged images in the repository', { short: 'a' }),
    'disable-content-trust': contentTrustFlag('Skip image verification'),
    platform: text('Set platform if server is multi-platform capable'),
    quiet: toggle('Suppress verbose output', { short: 'q' }),
  },
  least: 1,
  most: 1,
  run: async ({ values, positional: [name = ''], surroundings }) => {
    refuseContentTrust(values['disable-content-trust']);
    const written = readReference(name);
    if (values['all-tags']) refuseTag(written);
    const platform = readPlatform(values.platform);
    return await transfer(surroundings, {
      platform,
      quiet: values.quiet,
      interrupted: 'what has arrived is kept, and the next pull goes on from there',
      run: (means) => (values['all-tags'] ? pullAllTags(written, means) : pullOne(written, means)),
    });
  },
});

async function pullOne(written: WrittenReference, means: TransferMeans): Promise<void> {
  if (written.nameOnly && !means.quiet) printLine(`Using default tag: ${written.reference.tag ?? ''}`);
  const changed = await pull(written, means);
  finish(written, changed, means.quiet);
}

/** Every tag that the repository has, one after the other. */
async function pullAllTags(written: WrittenReference, means: TransferMeans): Promise<void> {
  const { reference } = written;
  let changed: boolean | undefined;
  for await (const tag of means.client.repository(reference).tags({ signal: means.signal })) {
    const tagged = { ...written, reference: { ...reference, tag } };
    changed = (await pull(tagged, means)) || changed === true;
  }
  const withoutTag = (name: string): string => name.slice(0, name.lastIndexOf(':'));
  const repository = { ...written, familiar: withoutTag(written.familiar), full: withoutTag(written.full) };
  if (changed === undefined) throw failed(`${repository.familiar} has no tags`);
  finish(repository, changed, means.quiet);
}

/** Returns whether anything has changed. */
async function pull({ reference }: WrittenReference, means: TransferMeans): Promise<boolean> {
  const { images, client, platform, signal } = means;
  using view = means.quiet ? silentView : openView(process.stdout);
  const { changed } = await followPull(pullImage(images, client, reference, { platform, signal }), reference, view);
  return changed;
}

function finish({ familiar, full }: WrittenReference, changed: boolean, quiet: boolean): void {
  if (!quiet) printLine(pullSummary(changed, familiar));
  printLine(full);
}
