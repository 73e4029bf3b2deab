import type { RegistryClient, Repository } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { text, toggle } from '../flags/flag.ts';
import { formatListing } from '../format/listing.ts';
import type { Listing } from '../format/listing.ts';
import { print } from '../output.ts';
import { withRegistries } from '../registry/client.ts';
import { readPlace } from '../registry/place.ts';
import { readTag, tagRow } from '../registry/tag-row.ts';
import type { TagFacts } from '../registry/tag-row.ts';
import { abortOnSignal } from '../terminal/signals.ts';

const HEADINGS = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  MediaType: 'MEDIA TYPE',
  Size: 'SIZE',
  Platforms: 'PLATFORMS',
};
/** How many tags are looked at together. */
const AT_ONCE = 8;

export const command: Command = defineCommand({
  usage: '[OPTIONS] HOST[/NAME]',
  summary: 'List the repositories of a registry, or the tags of a repository',
  aliases: ['tsc registry ls', 'tsc registry list'],
  flags: {
    format: text("Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
    'no-trunc': toggle("Don't truncate output"),
    quiet: toggle('Only show names', { short: 'q' }),
  },
  least: 1,
  most: 1,
  unprivileged: true,
  run: ({ values, positional: [word = ''] }) => {
    const place = readPlace(word);
    return withRegistries(async (client) => {
      using abort = abortOnSignal();
      try {
        const { repository } = place;
        const asked = { quiet: values.quiet, truncate: !values['no-trunc'], signal: abort.signal };
        const listing =
          repository === undefined
            ? await repositoriesOf(client, place.domain, abort.signal)
            : await tagsOf(client.repository(repository), asked);
        print(formatListing(listing, { format: values.format, quiet: values.quiet }));
        return 0;
      } catch (error) {
        if (abort.exitCode !== undefined) return abort.exitCode;
        throw error;
      }
    });
  },
});

async function repositoriesOf(client: RegistryClient, domain: string, signal: AbortSignal): Promise<Listing> {
  const names = await Array.fromAsync(client.repositories(domain, { signal }));
  const rows = names.map((name) => ({ Repository: name }));
  return { columns: '{{.Repository}}', headings: HEADINGS, rows, idField: 'Repository' };
}

interface TagsAsked {
  readonly quiet: boolean;
  readonly truncate: boolean;
  readonly signal: AbortSignal;
}

async function tagsOf(repository: Repository, { quiet, truncate, signal }: TagsAsked): Promise<Listing> {
  const tags = await Array.fromAsync(repository.tags({ signal }));
  const rows = quiet
    ? tags.map((tag) => ({ Tag: tag }))
    : (await readTags(repository, tags, signal)).map((facts) => tagRow(facts, { truncate }));
  const columns = '{{.Tag}}\t{{.Digest}}\t{{.Size}}\t{{.Platforms}}';
  return { columns, headings: HEADINGS, rows, idField: 'Tag' };
}

async function readTags(
  repository: Repository,
  tags: readonly string[],
  signal: AbortSignal,
): Promise<readonly TagFacts[]> {
  const facts: TagFacts[] = [];
  for (let at = 0; at < tags.length; at += AT_ONCE) {
    const some = tags.slice(at, at + AT_ONCE);
    facts.push(...(await Promise.all(some.map((tag) => readTag(repository, tag, signal)))));
  }
  return facts;
}
