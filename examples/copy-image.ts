// Copies an image, for all its platforms, from one registry to another, byte for byte. What is there is not sent again.
// Run: node copy-image.ts FROM TO
import { openRegistryClient, parseReference, pushArtifact } from '@tsc/image';

const [from = '', to = ''] = process.argv.slice(2);
await using client = openRegistryClient();
const { digest, tag = 'latest' } = parseReference(from);
const artifact = await client.repository(from).artifact(digest ?? tag);
for await (const event of pushArtifact(client, to, artifact)) {
  if (event.type === 'pushed') console.log(`${event.reference} ${event.descriptor.digest}`);
  else if (event.currentBytes === event.totalBytes) console.log(`${event.digest} ${event.status}`);
}
