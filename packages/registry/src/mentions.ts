import { isDigest } from './names.ts';
import type { Digest } from './names.ts';

/**
 * Whatever a manifest mentions counts as needed, so that one of a type that we don't know keeps its blobs too. Written again,
 * its text has no escapes that hide a digest.
 */
export function mentionedDigests(bytes: Uint8Array): readonly Digest[] {
  const text = JSON.stringify(JSON.parse(new TextDecoder().decode(bytes)));
  const mentioned: readonly string[] = text.match(/sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})/g) ?? [];
  return mentioned.filter((digest) => isDigest(digest));
}
