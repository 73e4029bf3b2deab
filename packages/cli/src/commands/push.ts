import type { Engine } from '@tsc/engine';
import { formatPlatform, formatRepository, pushImage } from '@tsc/image';
import type { Platform, RegistryClient, StoredImage } from '@tsc/image';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { CliError, failed } from '../errors.ts';
import { text, toggle } from '../flags/flag.ts';
import { note, printLine } from '../output.ts';
import { followPush } from '../progress/push.ts';
import { openView, silentView } from '../progress/view.ts';
import { withRegistries } from '../registry/client.ts';
import { contentTrustFlag, refuseContentTrust } from '../registry/content-trust.ts';
import { readPlatform, readReference, refuseTag } from '../request/reference.ts';
import type { WrittenReference } from '../request/reference.ts';
import { abortOnSignal } from '../terminal/signals.ts';
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
    return withEngine(surroundings, (engine) =>
      withRegistries(async (client) => {
        using abort = abortOnSignal();
        const means = { images: engine.images, client, platform, quiet: values.quiet, signal: abort.signal };
        try {
          await (values['all-tags'] ? pushAllTags(written, means) : pushOne(written, means));
          return 0;
        } catch (error) {
          if (abort.exitCode === undefined) throw error;
          note('tsc: interrupted: what the registry has already will not be sent again');
          return abort.exitCode;
        }
      }),
    );
  },
});

interface Means {
  readonly images: Engine['images'];
  readonly client: RegistryClient;
  readonly platform: Platform | undefined;
  readonly quiet: boolean;
  readonly signal: AbortSignal;
}

async function pushOne(written: WrittenReference, means: Means): Promise<void> {
  if (written.nameOnly && !means.quiet) printLine(`Using default tag: ${written.reference.tag ?? ''}`);
  await push([written.familiar], written, means);
  if (means.quiet) printLine(written.full);
}

async function pushAllTags(written: WrittenReference, means: Means): Promise<void> {
  const { repository } = splitName(written.familiar);
  const names = (await means.images.list()).flatMap((image) => image.names);
  const tagged = names.filter((name) => splitName(name).repository === repository).sort();
  if (tagged.length === 0) {
    throw failed(`an image does not exist locally with the tag: ${repository}`);
  }
  await push(tagged, written, means);
  if (means.quiet) printLine(splitName(written.full).repository);
}

async function push(names: readonly string[], { reference }: WrittenReference, means: Means): Promise<void> {
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
