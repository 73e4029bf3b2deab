import type { Engine } from '@tsc/engine';

import { imageArtifact } from '@tsc/image';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, failed } from '../errors.ts';
import { codeOf, forEach } from '../failure.ts';
import { text, value } from '../flags/flag.ts';
import { compileTemplate } from '../format/template/evaluate.ts';
import { print, printLine } from '../output.ts';
import { describeImage } from './image-inspect.ts';

type ObjectType = 'container' | 'image';

export const command: Command = defineCommand({
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  summary: 'Return low-level information on containers and images',
  aliases: ['tsc inspect', 'tsc container inspect', 'tsc image inspect'],
  flags: {
    format: text("Format output using a custom template: 'json' or a Go template", { short: 'f' }),
    type: value('Only inspect objects of the given type', parseType),
  },
  notYet: ['platform', 'size', 's'],
  least: 1,
  run: ({ values: { format, type }, positional, surroundings }) => {
    const template = format === undefined || format === '' ? undefined : compileFormat(format);
    return withEngine(surroundings, async (engine) => {
      const found: unknown[] = [];
      const exitCode = await forEach(positional, surroundings.calledAs, async (reference) => {
        const object = await inspect(engine, reference, type);
        if (template === undefined) found.push(object);
        else printLine(template(object));
      });
      if (template === undefined) print(`${JSON.stringify(found, undefined, 4)}\n`);
      return exitCode;
    });
  },
});

const compileFormat = (format: string): ReturnType<typeof compileTemplate> =>
  compileTemplate(format === 'json' ? '{{json .}}' : format);

/** Containers come before images, when a word could mean both. */
async function inspect(engine: Engine, reference: string, type: ObjectType | undefined): Promise<unknown> {
  if (type !== 'image') {
    try {
      return engine.container(reference).inspect();
    } catch (error) {
      if (codeOf(error) !== 'ENGINE_NO_SUCH_CONTAINER' || type === 'container') throw error;
    }
  }
  try {
    const image = await engine.images.resolve(reference);
    const { mediaType, digest, size } = imageArtifact(await engine.images.image(image.id)).descriptor;
    return describeImage(image, { mediaType, digest, size });
  } catch (error) {
    if (type === 'image' || codeOf(error) !== 'IMAGE_NOT_FOUND') throw error;
    throw failed(`no such object: ${reference}`, error);
  }
}

function parseType(word: string): ObjectType {
  if (word === 'container' || word === 'image') return word;
  throw badValue(`"${word}" is not a type that can be inspected: container or image`);
}
