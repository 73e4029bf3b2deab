import { formatReference, parseReference } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue } from '../errors.ts';
import { forEach } from '../failure.ts';
import { toggle } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { withRegistries } from '../registry/client.ts';
import { abortOnSignal } from '../terminal/signals.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] HOST/NAME:TAG|HOST/NAME@DIGEST [...]',
  summary: 'Remove tags, or manifests with all their tags, from a registry',
  aliases: ['tsc registry rm', 'tsc registry remove'],
  flags: {
    manifest: toggle('Remove the manifest that a tag names, with all of its tags'),
  },
  least: 1,
  unprivileged: true,
  run: ({ values, positional, surroundings }) => {
    for (const word of positional) {
      // Elsewhere a missing tag means latest; here that would remove what nobody wrote.
      if (!/[:@][^/]*$/.test(word)) throw badValue(`"${word}" has no tag and no digest`);
    }
    return withRegistries(async (client) => {
      using abort = abortOnSignal();
      const { signal } = abort;
      const exitCode = await forEach(positional, surroundings.calledAs, async (word) => {
        const reference = parseReference(word);
        const repository = client.repository(reference);
        const named = reference.digest ?? reference.tag ?? '';
        const target = values.manifest ? (await repository.resolve(named, { signal })).digest : named;
        await repository.deleteManifest(target, { signal });
        printLine(`Deleted: ${target === named ? formatReference(reference) : `${word} (${target})`}`);
      });
      return abort.exitCode ?? exitCode;
    });
  },
});
