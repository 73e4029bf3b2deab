import { formatReference } from '@tsc/image';
import type { RegistryClient } from '@tsc/image';
import type { CopyEvent, CopyOptions, CopyReport } from '@tsc/registry';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, failed } from '../errors.ts';
import { oneLine } from '../failure.ts';
import { list, toggle } from '../flags/flag.ts';
import { humanSize } from '../format/size.ts';
import { note, printLine } from '../output.ts';
import { withRegistries } from '../registry/client.ts';
import { readReference, refuseTag } from '../request/reference.ts';
import type { WrittenReference } from '../request/reference.ts';
import { abortOnSignal } from '../terminal/signals.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] SOURCE DESTINATION',
  summary: 'Copy images between registries, for all platforms and with what refers to them, byte for byte',
  aliases: ['tsc registry copy', 'tsc registry cp'],
  flags: {
    'all-tags': toggle('Copy every tag of the repository', { short: 'a' }),
    platform: list('Of an index, only the members for these platforms'),
    quiet: toggle('Only say what was copied at last', { short: 'q' }),
    referrers: toggle('Copy signatures, SBOMs and what else refers to an image, too', { initial: true }),
  },
  least: 2,
  most: 2,
  unprivileged: true,
  run: ({ values, positional: [from = '', to = ''] }) => {
    const source = readReference(from);
    const destination = readReference(to);
    if (values['all-tags']) for (const written of [source, destination]) refuseTag(written);
    if (destination.reference.digest !== undefined) throw badValue(`"${to}" has a digest, which a copy keeps anyway`);
    return withRegistries(async (client) => {
      using abort = abortOnSignal();
      const options: CopyOptions = {
        referrers: values.referrers,
        ...(values.platform.length === 0 ? {} : { platforms: values.platform }),
        signal: abort.signal,
      };
      try {
        const copy = values['all-tags'] ? copyAll : copyOne;
        const report = await follow(await copy(client, { source, destination }, options), values.quiet);
        return summarize(report, destination);
      } catch (error) {
        if (abort.exitCode === undefined) throw error;
        note('tsc: interrupted: what has arrived is kept, and the next copy goes on from there');
        return abort.exitCode;
      }
    });
  },
});

interface Ends {
  readonly source: WrittenReference;
  readonly destination: WrittenReference;
}

type Copying = AsyncGenerator<CopyEvent, CopyReport, void>;

async function copyAll(client: RegistryClient, { source, destination }: Ends, options: CopyOptions): Promise<Copying> {
  const { copyRepository } = await import('@tsc/registry');
  return copyRepository(client.repository(source.reference), client.repository(destination.reference), options);
}

/** Without a tag of its own, the destination has that of the source. */
async function copyOne(client: RegistryClient, { source, destination }: Ends, options: CopyOptions): Promise<Copying> {
  const { copyReference } = await import('@tsc/registry');
  const { digest, tag } = source.reference;
  // Somebody who names a digest, and no tag to put it under, wants it found by its digest only.
  const sameTag = digest === undefined ? tag : undefined;
  return copyReference(
    { repository: client.repository(source.reference), reference: digest ?? tag ?? 'latest' },
    {
      repository: client.repository(destination.reference),
      tag: destination.nameOnly ? sameTag : destination.reference.tag,
    },
    options,
  );
}

async function follow(copying: Copying, quiet: boolean): Promise<CopyReport> {
  for await (const event of copying) {
    if (event.type === 'done') return event.report;
    if (quiet) continue;
    if (event.type === 'blob') printLine(`${event.digest}: copied ${humanSize(event.sizeBytes)}`);
    if (event.type === 'tag') printLine(`${event.tag}: ${event.status}`);
  }
  throw new TypeError('a copy ended without a report');
}

function summarize(report: CopyReport, { reference }: WrittenReference): number {
  const { copiedTags, unchangedTags, manifests, blobs, blobBytes, failures } = report;
  for (const { tag, cause } of failures) {
    note(`tsc: ${tag}: ${oneLine(Error.isError(cause) ? cause.message : String(cause))}`);
  }
  const { domain, path } = reference;
  const place = formatReference({ domain, path, tag: undefined, digest: undefined });
  printLine(
    `${place}: ${String(copiedTags.length)} tags copied, ${String(unchangedTags.length)} unchanged; ` +
      `${String(manifests)} manifests and ${String(blobs)} blobs (${humanSize(blobBytes)}) sent`,
  );
  if (failures.length > 0) throw failed(`${String(failures.length)} tags could not be copied`);
  return 0;
}
