import type { ScrubFinding } from '@tsc/registry';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { value } from '../flags/flag.ts';
import { humanSize } from '../format/size.ts';
import { printLine } from '../output.ts';
import { openServed, servedFlags } from '../registry/served.ts';
import { abortOnSignal } from '../terminal/signals.ts';
import { parseSize } from '../words/size.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Read everything that a registry has stored, and compare it with its digests',
  flags: {
    ...servedFlags,
    rate: value('Bytes to read in a second', parseSize, { valueName: 'bytes', shownDefault: 'no limit' }),
  },
  least: 0,
  most: 0,
  unprivileged: true,
  run: async ({ values }) => {
    const { configuration, storage: opened } = await openServed(values);
    await using storage = opened;
    const { scrubStorage } = await import('@tsc/registry');
    using abort = abortOnSignal();
    const bytesPerSecond = values.rate ?? configuration.scrub?.bytesPerSecond;
    try {
      const report = await scrubStorage(storage, { bytesPerSecond, signal: abort.signal });
      for (const finding of report.found) printLine(sentenceOf(finding));
      const { checkedContents, checkedManifests, checkedBytes } = report;
      printLine(
        `Checked ${String(checkedContents)} blobs (${humanSize(checkedBytes)}) and ${String(checkedManifests)} manifests: ` +
          (report.found.length === 0 ? 'all intact' : `${String(report.found.length)} findings`),
      );
      return report.found.length === 0 ? 0 : 1;
    } catch (error) {
      if (abort.exitCode !== undefined) return abort.exitCode;
      throw error;
    }
  },
});

function sentenceOf(finding: ScrubFinding): string {
  switch (finding.type) {
    case 'corrupt-content':
      return `${finding.digest}: corrupt, set aside; push it again`;
    case 'corrupt-manifest':
      return `${finding.name}@${finding.digest}: corrupt manifest, set aside; push it again`;
    case 'incomplete-manifest': {
      const tags = finding.tags.length === 0 ? 'without a tag' : finding.tags.join(', ');
      return `${finding.name}@${finding.digest} (${tags}): lacks ${finding.missing.join(', ')}`;
    }
    case 'lost-tag':
      return `${finding.name}:${finding.tag}: there is no manifest ${finding.digest}`;
    case 'lost-referrer':
      return `${finding.name}@${finding.digest}: not among the referrers of ${finding.subject}`;
  }
}
