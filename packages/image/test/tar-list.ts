import { Readable } from 'node:stream';

import { appendLayer, emptyImage, layerFromTar, readLayer, type Image } from '../src/index.ts';
import { tarOf, type Member } from './tar-of.ts';

/** The members of an archive in their order, as `name type content-or-target`. */
export const listTar = async (stream: AsyncIterable<Uint8Array>): Promise<readonly string[]> => {
  const lines: string[] = [];
  let line = '';
  await readLayer(stream, {
    entry: ({ name, type, linkName }) => {
      line = [name, type, linkName].join(' ');
    },
    data: (chunk) => {
      line += chunk.toString('latin1');
    },
    end: () => {
      lines.push(line.trimEnd());
    },
  });
  return lines;
};

/** An image of layers that a test writes by their members, the lowest first. */
export const imageOf = async (...layers: readonly (readonly Member[])[]): Promise<Image> => {
  let image = emptyImage({ architecture: 'amd64' });
  for (const [i, members] of layers.entries()) {
    const bytes = tarOf(members);
    const layer = await layerFromTar(() => Readable.from([bytes]));
    image = appendLayer(image, layer, { created_by: `step ${String(i)}` });
  }
  return image;
};
