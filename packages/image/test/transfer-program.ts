// Pulls into a store, or pushes from it: node transfer-program.ts pull|push <rootDir> <reference>
import { openImageStore, openRegistryClient, pullImage, pushImage } from '@tsc/image';

const [verb = '', rootDir = '', reference = ''] = process.argv.slice(2);
const store = await openImageStore({ rootDir });
await using client = openRegistryClient();
const transfer = verb === 'pull' ? pullImage(store, client, reference) : pushImage(store, client, reference);
for await (const event of transfer) process.stdout.write(`${JSON.stringify(event)}\n`);
