// Makes one name of images for several machines: who pulls it gets the one for his.
// Run: node multi-platform.ts TARGET IMAGE...
import {
  artifactImage,
  composeIndex,
  formatPlatform,
  openRegistryClient,
  parseReference,
  pushArtifact,
} from '@tsc/image';

const [target = '', ...names] = process.argv.slice(2);
await using client = openRegistryClient();
const members = names.map(async (name) => {
  const { digest, tag = 'latest' } = parseReference(name);
  return artifactImage(await client.repository(name).artifact(digest ?? tag));
});
const index = composeIndex(await Promise.all(members), { annotations: { 'org.opencontainers.image.title': target } });
for await (const event of pushArtifact(client, target, index)) {
  if (event.type === 'pushed') console.log(`${event.reference} ${event.descriptor.digest}`);
}
for (const { descriptor } of index.manifests) {
  if (descriptor.platform !== undefined) console.log(formatPlatform(descriptor.platform), descriptor.digest);
}
