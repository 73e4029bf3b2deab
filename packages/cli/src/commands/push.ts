import { formatPlatform, formatRepository, pushImage } from '@tsc/image';
import type { Platform, StoredImage } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { CliError, failed } from '../errors.ts';
import { text, toggle } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { followPush } from '../progress/push.ts';
import { openView, silentView } from '../progress/view.ts';
import { contentTrustFlag, refuseContentTrust } from '../registry/content-trust.ts';
import { transfer } from '../registry/transfer.ts';
import type { TransferMeans } from '../registry/transfer.ts';
import { readPlatform, readReference, refuseTag } from '../request/reference.ts';
import type { WrittenReference } from '../request/reference.ts';
import { splitName } from './image-row.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] NAME[:TAG]',
  summary: 'Upload an image to a registry',
  aliases: ['tsc image push', 'tsc push'],
  flags: {
    'all-tags': toggle('Push all tags of an image to the repository', { short: 'a' }),
    'disable-content-trust': contentTrustFlag('Skip image signing'),
    platform: text('Refuse to push an image that is for another platform (os[/arch[/variant]])'),
    quiet: toggle('Suppress verbose output', { short: 'q' }),
  },
  least: 1,
  most: 1,
  run: async ({ values, positional: [name = ''], surroundings }) => {
    refuseContentTrust(values['disable-content-trust']);
    const written = readReference(name);
    if (values['all-tags']) refuseTag(written);
    if (written.reference.digest !== undefined) {
      throw new CliError('CLI_FAILED', 'cannot push a digest reference', { exitCode: 1 });
    }
    const platform = readPlatform(values.platform);
    return await transfer(surroundings, {
      platform,
      quiet: values.quiet,
      interrupted: 'what the registry has already will not be sent again',
      run: (means) => (values['all-tags'] ? pushAllTags(written, means) : pushOne(written, means)),
    });
  },
});

async function pushOne(written: WrittenReference, means: TransferMeans): Promise<void> {
  if (written.nameOnly && !means.quiet) printLine(`Using default tag: ${written.reference.tag ?? ''}`);
  await push([written.familiar], written, means);
  if (means.quiet) printLine(written.full);
}

async function pushAllTags(written: WrittenReference, means: TransferMeans): Promise<void> {
  const { repository } = splitName(written.familiar);
  const names = (await means.images.list()).flatMap((image) => image.names);
  const tagged = names.filter((name) => splitName(name).repository === repository).sort();
  if (tagged.length === 0) {
    throw failed(`an image does not exist locally with the tag: ${repository}`);
  }
  await push(tagged, written, means);
  if (means.quiet) printLine(splitName(written.full).repository);
}

async function push(names: readonly string[], { reference }: WrittenReference, means: TransferMeans): Promise<void> {
  const { images, client, quiet, signal } = means;
  const found = await Promise.all(names.map((name) => images.resolve(name)));
  for (const image of found) requirePlatform(image, means.platform);
  if (!quiet) printLine(`The push refers to repository [${formatRepository(reference)}]`);
  for (const [i, name] of names.entries()) {
    using view = quiet ? silentView : openView(process.stdout);
    const shown = { view, tag: splitName(name).tag, configDigest: found[i]?.id ?? '' };
    await followPush(pushImage(images, client, name, { signal }), shown);
  }
}

/** The store has one platform of an image: it is the one that was asked for, or there is nothing to push. */
function requirePlatform({ config }: StoredImage, platform: Platform | undefined): void {
  if (platform === undefined) return;
  const [wanted, stored] = [formatPlatform(platform), formatPlatform(config)];
  if (wanted !== stored) throw failed(`the image does not provide the platform ${wanted}: it is for ${stored}`);
}
