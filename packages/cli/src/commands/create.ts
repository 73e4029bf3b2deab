import { withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { printLine } from '../output.ts';
import { openCidFile } from '../request/cid-file.ts';
import { defineContainerCommand } from '../request/container.ts';
import { withImage } from '../request/missing-image.ts';
import { publishExposed } from '../request/publish-all.ts';

export const command: Command = defineContainerCommand({
  summary: 'Create a new container',
  aliases: ['tsc container create', 'tsc create'],
  flags: {},
  run: (request, { surroundings }) =>
    withEngine(surroundings, async (engine) => {
      using cidFile = request.cidFile === undefined ? undefined : openCidFile(request.cidFile);
      const container = await withImage(request.spec.image, async () =>
        engine.createContainer(await publishExposed(engine, request)),
      );
      cidFile?.write(container.id);
      printLine(container.id);
      return 0;
    }),
});
