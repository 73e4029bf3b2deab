import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { value } from '../flags/flag.ts';
import { humanSize } from '../format/size.ts';
import { note, printLine } from '../output.ts';
import { openServed, servedFlags } from '../registry/served.ts';
import { abortOnSignal } from '../terminal/signals.ts';
import { parseDuration } from '../words/duration.ts';

const DAY_MS = 24 * 3_600_000;

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary:
    "Give back the room of what no manifest needs, also while the registry runs; the file's retention rules first",
  flags: {
    ...servedFlags,
    grace: value('Leave what was pushed or asked for within this time', parseDuration, {
      valueName: 'duration',
      shownDefault: '24h',
    }),
  },
  least: 0,
  most: 0,
  unprivileged: true,
  run: async ({ values }) => {
    const { configuration, storage: opened } = await openServed(values);
    await using storage = opened;
    const { applyRetention, openPolicy } = await import('@tsc/registry');
    using abort = abortOnSignal();
    const { signal } = abort;
    const graceMs = values.grace ?? configuration.garbage?.graceMs ?? DAY_MS;
    try {
      const { retention, policy = [] } = configuration;
      if (retention !== undefined) {
        const { repositories } = await applyRetention(storage, retention.rules, { policy: openPolicy(policy), signal });
        for (const { name, tags, manifests } of repositories) {
          printLine(`${name}: removed ${String(tags.length)} tags and ${String(manifests.length)} manifests`);
        }
      }
      const uploads = await storage.removeStaleUploads(graceMs, { signal });
      const report = await storage.collectGarbage(graceMs, { signal });
      for (const { name, digest } of report.unreadable ?? [])
        note(`${name}@${digest} can't be read: nothing was taken from ${name}`);
      printLine(`Abandoned uploads: ${String(uploads)}`);
      printLine(`Removed blobs: ${String(report.removedBlobs)}`);
      printLine(`Total reclaimed space: ${humanSize(report.removedBytes)}`);
      return report.unreadable === undefined ? 0 : 1;
    } catch (error) {
      if (abort.exitCode !== undefined) return abort.exitCode;
      throw error;
    }
  },
});
