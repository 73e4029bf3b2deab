// Gives an image a repaired base without building it again: only the manifest and the config are new.
// Run: node rebase.ts IMAGE OLD_BASE NEW_BASE TARGET
import { artifactImage, openRegistryClient, parseReference, pushArtifact, rebaseImage } from '@tsc/image';
import type { Image } from '@tsc/image';

const [image = '', oldBase = '', newBase = '', target = image] = process.argv.slice(2);
await using client = openRegistryClient();

async function fetchImage(name: string): Promise<Image> {
  const { digest, tag = 'latest' } = parseReference(name);
  return artifactImage(await client.repository(name).artifact(digest ?? tag));
}

const rebased = rebaseImage(await fetchImage(image), await fetchImage(oldBase), await fetchImage(newBase));
for await (const event of pushArtifact(client, target, rebased)) {
  if (event.type === 'pushed') console.log(`${event.reference} ${event.descriptor.digest}`);
}
