// Does all that needs no root, and says what came of it: node rootless-values.ts <directory to put into an image> <scratch>
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import {
  appendLayer,
  archiveArtifacts,
  artifactImage,
  composeIndex,
  diffImages,
  emptyImage,
  extractImage,
  flattenImage,
  imageId,
  layerFromDirectory,
  layerFromFiles,
  manifestDigest,
  openImageArchive,
  openImageLayout,
  rebaseImage,
  recompressImage,
  validateArtifact,
  withConfig,
  withIndexMember,
} from '@tsc/image';

const [dir = '', scratch = ''] = process.argv.slice(2);
const platform = { os: 'linux', architecture: 'amd64' };
const mtime = new Date(0);

const base = appendLayer(emptyImage(platform), await layerFromFiles([{ path: 'etc/os', content: 'old' }]));
const app = await layerFromDirectory(dir, { targetPath: '/app', uid: 0, gid: 0, mtime });
const image = withConfig(appendLayer(base, app), { config: { Cmd: ['/app/run'] } });
const repaired = appendLayer(emptyImage(platform), await layerFromFiles([{ path: 'etc/os', content: 'new' }]));
const rebased = await recompressImage(rebaseImage(image, base, repaired), 'gzip');
const index = withIndexMember(composeIndex([rebased]), emptyImage({ os: 'linux', architecture: 'arm64' }));

const layout = await openImageLayout(join(scratch, 'layout'), { create: true });
await layout.write('app:1', index);
const items = [{ artifact: await layout.artifact('app:1'), names: ['app:1'] }];
await pipeline(archiveArtifacts(items), createWriteStream(join(scratch, 'app.tar')));
await using archive = await openImageArchive(join(scratch, 'app.tar'));
const read = await archive.artifact('app:1');
await validateArtifact(read);
const flat = await flattenImage(await artifactImage(read, { platform }));
await layout.write('flat', flat);
await pipeline(extractImage(await layout.image('flat', { platform })), createWriteStream(join(scratch, 'tree.tar')));
const { files } = await diffImages(image, rebased);

const report = {
  uid: process.getuid?.(),
  index: index.descriptor.digest,
  read: read.descriptor.digest,
  flat: imageId(flat),
  written: manifestDigest(await layout.image('flat', { platform })) === manifestDigest(flat),
  changed: files.map(({ path, aspects }) => [path, ...aspects]),
};
process.stdout.write(`${JSON.stringify(report)}\n`);
