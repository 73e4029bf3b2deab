import type { Engine } from '@tsc/engine';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { failed } from '../errors.ts';
import { codeOf, forEach, oneLine } from '../failure.ts';
import { toggle } from '../flags/flag.ts';
import { shortId } from '../format/shorten.ts';
import { note, printLine } from '../output.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Remove one or more images',
  aliases: ['tsc image rm', 'tsc image remove', 'tsc rmi'],
  flags: { force: toggle('Force removal of the image', { short: 'f' }) },
  notYet: ['no-prune', 'platform'],
  least: 1,
  run: ({ values: { force }, positional, surroundings }) =>
    withEngine(surroundings, (engine) =>
      forEach(positional, surroundings.calledAs, async (reference) => {
        try {
          await refuseInUse(engine, reference, force);
          const { untagged, deleted } = await engine.images.remove(reference, { force });
          for (const name of untagged) printLine(`Untagged: ${name}`);
          for (const digest of deleted) printLine(`Deleted: ${digest}`);
        } catch (error) {
          if (!force || !Error.isError(error) || codeOf(error) !== 'IMAGE_NOT_FOUND') throw error;
          note(`tsc: ${oneLine(error.message)}`);
        }
      }),
    ),
});

/** Taking away the last name of an image that a container is made of would take the container's image with it. */
async function refuseInUse(engine: Engine, reference: string, force: boolean): Promise<void> {
  const image = await engine.images.resolve(reference);
  const users = engine.listContainers({ all: true }).filter(({ imageId }) => imageId === image.id);
  const running = users.find(({ status }) => status === 'running' || status === 'restarting');
  const [blocker] = running === undefined ? users : [running];
  const byName = image.names.length > 1 && !image.id.includes(reference.replace(/^sha256:/, ''));
  if (blocker === undefined || byName || (force && running === undefined)) return;
  const why = running === undefined ? 'must be forced' : 'cannot be forced';
  const what = running === undefined ? 'container' : 'running container';
  throw failed(
    `conflict: unable to remove repository reference "${reference}" (${why}) - ${what} ${shortId(blocker.id)} ` +
      `is using its referenced image ${shortId(image.id)}`,
  );
}
