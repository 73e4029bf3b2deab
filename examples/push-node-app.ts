// Puts a directory with a Node app on a base image and pushes that. Needs no root, no daemon and no copy of the base.
// Run: node push-node-app.ts DIRECTORY BASE TARGET
import { homedir } from 'node:os';
import { join } from 'node:path';

import * as images from '@tsc/image';

const [directory = '.', base = 'node:24-slim', target = 'localhost:5000/app'] = process.argv.slice(2);
const credentials = images.openCredentialFile(join(homedir(), '.docker/config.json'));
await using client = images.openRegistryClient({ credentials });
const { tag = 'latest' } = images.parseReference(base);
const node = await images.artifactImage(await client.repository(base).artifact(tag));
const app = await images.layerFromDirectory(directory, { targetPath: '/app', uid: 0, gid: 0, mtime: new Date(0) });
const image = images.withConfig(images.appendLayer(node, app), { config: { WorkingDir: '/app', Cmd: ['node', '.'] } });
for await (const event of images.pushArtifact(client, target, image)) {
  if (event.type === 'pushed') console.log(`${event.reference} ${event.descriptor.digest}`);
}
