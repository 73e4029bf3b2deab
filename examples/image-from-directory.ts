// Makes an image of a directory and writes an archive that docker, podman and skopeo load. Needs no root and no daemon.
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

import { appendLayer, archiveImages, emptyImage, imageId, layerFromDirectory, withConfig } from '@tsc/image';

const [directory = import.meta.dirname, archive = '/dev/null'] = process.argv.slice(2);
const app = await layerFromDirectory(directory, { targetPath: '/app', uid: 0, gid: 0, mtime: new Date(0) });
const image = withConfig(appendLayer(emptyImage(), app), { config: { Cmd: ['node', '/app/index.js'] } });
await pipeline(archiveImages([{ image, names: ['app:latest'] }]), createWriteStream(archive));
process.stdout.write(`${imageId(image)}\n`);
