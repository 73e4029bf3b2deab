// Makes, changes and keeps images, and says whether a native addon was loaded: node rootless-addon.ts <scratch>
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const loaded: string[] = [];
const dlopen = process.dlopen.bind(process);
process.dlopen = (module: object, file: string, ...rest: number[]): void => {
  loaded.push(file);
  dlopen(module, file, ...rest);
};

const { appendLayer, archiveImages, emptyImage, flattenImage, layerFromFiles, openImageArchive, openImageLayout } =
  await import('@tsc/image');
const [scratch = ''] = process.argv.slice(2);
const layer = await layerFromFiles([{ path: 'a', content: 'a' }], { compression: 'gzip' });
const image = await flattenImage(appendLayer(emptyImage(), layer));
await pipeline(archiveImages([{ image, names: ['a'] }]), createWriteStream(join(scratch, 'a.tar')));
await using archive = await openImageArchive(join(scratch, 'a.tar'));
const layout = await openImageLayout(join(scratch, 'layout'), { create: true });
await layout.write('a', await archive.artifact('a'));
process.stdout.write(JSON.stringify({ loaded, entries: (await layout.entries()).length }));
