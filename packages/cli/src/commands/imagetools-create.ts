import { describeArtifact, formatReference, isIndexArtifact, parseReference, pushArtifact } from '@tsc/image';
import type { Artifact, Reference, RegistryClient } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { failed, notSupported } from '../errors.ts';
import { list, toggle, value } from '../flags/flag.ts';
import { parseAnnotation } from '../imagetools/annotation.ts';
import { combine } from '../imagetools/combine.ts';
import { locateSources, parseSource } from '../imagetools/source.ts';
import type { Source } from '../imagetools/source.ts';
import { fetchArtifact, readPlatformOf } from '../manifest-list/entry.ts';
import { printLine } from '../output.ts';
import { pushItem } from '../progress/transfer.ts';
import { openView, plainView, silentView } from '../progress/view.ts';
import type { ProgressView } from '../progress/view.ts';
import { withRegistries } from '../registry/client.ts';
import { readNamedFile } from '../request/file.ts';
import { abortOnSignal } from '../terminal/signals.ts';

type ProgressMode = 'auto' | 'plain' | 'quiet';

export const command: Command = defineCommand({
  usage: '[OPTIONS] [SOURCE...]',
  summary: 'Create a new image based on source images',
  aliases: ['tsc buildx imagetools create'],
  flags: {
    annotation: list('Add annotation to the image', { valueName: 'stringArray' }, parseAnnotation),
    append: toggle('Append to existing manifest'),
    'dry-run': toggle('Show final image instead of pushing'),
    file: list('Read source descriptor from file', { short: 'f', valueName: 'stringArray' }),
    'prefer-index': toggle(
      'When only a single source is specified, prefer outputting an image index or manifest list instead of performing a carbon copy',
      { initial: true },
    ),
    progress: value('Set type of progress output ("auto", "plain", "tty", "quiet")', parseProgress),
    tag: list('Set reference for new image', { short: 't', valueName: 'stringArray' }),
  },
  notYet: ['builder', 'metadata-file', 'platform'],
  least: 0,
  unprivileged: true,
  run: async ({ values, positional }) => {
    const given = [...values.file.map(readNamedFile), ...positional];
    if (given.length === 0) throw failed('no sources specified');
    if (values.tag.length === 0 && !values['dry-run']) {
      throw failed("can't push with no tags specified, please set --tag or --dry-run");
    }
    const tags = values.tag.map(parseReference);
    const words = [...(values.append ? values.tag.slice(0, 1) : []), ...given];
    const sources = words.map((word) => parseSource(word, parseReference));
    const places = locateSources(sources, tags);
    using abort = abortOnSignal();
    try {
      return await withRegistries(async (client) => {
        const found = await fetchAll(client, { sources, places, signal: abort.signal });
        const made = combine(found, { annotations: values.annotation, preferIndex: values['prefer-index'] });
        if (values['dry-run']) printLine(made.bytes.toString('utf8'));
        else await pushAll(client, made, { tags, places, progress: values.progress ?? 'auto', signal: abort.signal });
        return 0;
      });
    } catch (error) {
      if (abort.exitCode !== undefined) return abort.exitCode;
      throw error;
    }
  },
});

function parseProgress(word: string): ProgressMode {
  if (word === 'auto' || word === 'tty') return 'auto';
  if (word === 'plain') return word;
  if (word === 'quiet' || word === 'none') return 'quiet';
  throw notSupported(`the progress output "${word}" (there are auto, plain, tty and quiet)`);
}

interface Wanted {
  readonly sources: readonly Source[];
  readonly places: readonly Reference[];
  readonly signal: AbortSignal;
}

/** All sources with what is said of them; images know their platform afterwards. */
const fetchAll = (client: RegistryClient, { sources, places, signal }: Wanted): Promise<readonly Artifact[]> =>
  Promise.all(
    sources.map(async ({ digest, patch }, i) => {
      const place = places[i];
      if (place === undefined) throw new TypeError('a source without a place');
      const wanted = digest === undefined ? place : { ...place, digest };
      const artifact = await fetchArtifact(client, wanted, signal);
      const { descriptor } = artifact;
      if (patch.size !== undefined && patch.size !== descriptor.size) {
        throw failed(`invalid size mismatch for ${descriptor.digest}, ${patch.size} != ${descriptor.size}`);
      }
      if (isIndexArtifact(artifact)) return artifact;
      return describeArtifact(artifact, {
        platform: patch.platform ?? descriptor.platform ?? (await readPlatformOf(artifact, signal)),
        annotations: patch.annotations ?? descriptor.annotations,
      });
    }),
  );

interface PushRequest {
  readonly tags: readonly Reference[];
  readonly places: readonly Reference[];
  readonly progress: ProgressMode;
  readonly signal: AbortSignal;
}

async function pushAll(
  client: RegistryClient,
  artifact: Artifact,
  { tags, places, progress, signal }: PushRequest,
): Promise<void> {
  using view = viewOf(progress);
  for (const tag of tags) {
    const mountFrom = places.filter(({ domain }) => domain === tag.domain).map(({ path }) => path);
    for (const place of places) {
      if (place.domain === tag.domain && place.path === tag.path) continue;
      view.line(`copying from ${formatReference(place)} to ${formatReference(tag)}`);
    }
    view.line(`pushing ${artifact.descriptor.digest} to ${formatReference(tag)}`);
    for await (const event of pushArtifact(client, tag, artifact, { mountFrom: [...new Set(mountFrom)], signal })) {
      if (event.type === 'blob') view.show(pushItem(event));
    }
  }
}

function viewOf(progress: ProgressMode): ProgressView {
  if (progress === 'quiet') return silentView;
  return progress === 'plain' ? plainView(process.stderr) : openView(process.stderr);
}
