import { withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { printLine } from '../output.ts';
import { openCidFile } from '../request/cid-file.ts';
import { defineContainerCommand } from '../request/container.ts';
import { withImage } from '../request/missing-image.ts';
import { publishExposed } from '../request/publish-all.ts';
import { abortOnSignal } from '../terminal/signals.ts';

export const command: Command = defineContainerCommand({
  summary: 'Create a new container',
  aliases: ['tsc container create', 'tsc create'],
  flags: {},
  run: (request, { surroundings }) =>
    withEngine(surroundings, async (engine) => {
      using cidFile = request.cidFile === undefined ? undefined : openCidFile(request.cidFile);
      using abort = abortOnSignal();
      const create = async (): ReturnType<typeof engine.createContainer> =>
        engine.createContainer(await publishExposed(engine, request));
      try {
        const container = await withImage(engine, { ...request.image, signal: abort.signal }, create);
        cidFile?.write(container.id);
        printLine(container.id);
        return 0;
      } catch (error) {
        if (abort.exitCode === undefined) throw error;
        return abort.exitCode;
      }
    }),
});
