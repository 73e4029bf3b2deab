import { describe, expect, it } from '@jest/globals';

import type { Descriptor } from '../descriptor.ts';
import { digestOf, type Digest } from '../digest.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../media-types.ts';
import { artifactBlobs, artifactDocuments, imageArtifact, type Artifact } from './artifact.ts';
import { blobFromBytes } from './blob.ts';
import { emptyImage, manifestDigest } from './image.ts';
import { composeIndex } from './image-index.ts';
import { artifactImage, readArtifact, type ArtifactSource } from './read-artifact.ts';

/** A source of what was put into it, which counts what is asked of it. */
const memory = (): ArtifactSource & { asked: Digest[]; put: (bytes: Buffer, mediaType: string) => Descriptor } => {
  const stored = new Map<Digest, Buffer>();
  const asked: Digest[] = [];
  return {
    asked,
    put: (bytes, mediaType) => {
      stored.set(digestOf(bytes), bytes);
      return { mediaType, digest: digestOf(bytes), size: bytes.length };
    },
    document: ({ digest }) => {
      asked.push(digest);
      return stored.get(digest);
    },
    blob: (descriptor) => ({
      descriptor,
      open: () => blobFromBytes(stored.get(descriptor.digest) ?? Buffer.alloc(0), '').open(),
    }),
  };
};

const indexOf = (lines: readonly Descriptor[]): Buffer =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: lines }));
const root = (bytes: Buffer, mediaType: string = OCI_INDEX): Pick<Artifact, 'descriptor' | 'bytes'> => ({
  descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length },
  bytes,
});
const image = emptyImage({ architecture: 'arm64' });
const platform = { os: 'linux', architecture: 'arm64' };

describe('readArtifact', () => {
  it('reads each document once, and only the wanted one of an index', async () => {
    const source = memory();
    const member = source.put(image.manifestBytes, OCI_MANIFEST);
    const other = source.put(emptyImage({ architecture: 'amd64' }).manifestBytes, OCI_MANIFEST);
    const lines = [
      { ...other, platform: { os: 'linux', architecture: 'amd64' } },
      { ...member, platform },
      { ...member, annotations: { twice: 'yes' } },
    ];
    const all = await readArtifact(root(indexOf(lines)), source);
    expect(source.asked).toEqual([other.digest, member.digest]);
    expect(all.manifests.map(({ descriptor }) => descriptor)).toEqual(lines);
    expect(artifactDocuments(all)).toHaveLength(3);
    source.asked.splice(0);
    const one = await readArtifact(root(indexOf(lines)), source, { platform });
    expect([one.bytes, source.asked]).toEqual([image.manifestBytes, [member.digest]]);
  });

  it('looks into the configs where the index says nothing, and into nested indexes', async () => {
    const source = memory();
    source.put(image.configBytes, '');
    const bare = source.put(image.manifestBytes, OCI_MANIFEST);
    const nested = source.put(indexOf([bare]), OCI_INDEX);
    const attestation = { ...bare, platform: { os: 'unknown', architecture: 'unknown' } };
    const outer = root(indexOf([attestation, nested]));
    expect((await readArtifact(outer, source, { platform })).descriptor.digest).toBe(bare.digest);
    expect(manifestDigest(await artifactImage(await readArtifact(outer, source), { platform }))).toBe(bare.digest);
    await expect(
      readArtifact(outer, source, { platform: { os: 'linux', architecture: 'mips' } }),
    ).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
      message: expect.stringContaining('it has linux/arm64') as unknown,
    });
    await expect(
      artifactImage(imageArtifact(image), { platform: { os: 'linux', architecture: 'mips' } }),
    ).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
    });
  });

  it('takes what an index lists besides manifests for blobs', async () => {
    const source = memory();
    const text = source.put(Buffer.from('x'), 'text/plain');
    const read = await readArtifact(root(indexOf([text])), source);
    expect([read.manifests, artifactBlobs(read).map(({ descriptor }) => descriptor)]).toEqual([[], [text]]);
  });

  it('refuses indexes without end', async () => {
    const source = memory();
    let line = source.put(indexOf([]), OCI_INDEX);
    for (let depth = 0; depth < 8; depth += 1) line = source.put(indexOf([line]), OCI_INDEX);
    await expect(readArtifact(root(indexOf([line])), source)).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
      message: expect.stringContaining('nested') as unknown,
    });
    // Each level lists the next one many times: a billion documents to whoever follows every line.
    line = source.put(indexOf([]), OCI_INDEX);
    for (let depth = 0; depth < 6; depth += 1)
      line = source.put(indexOf(Array.from({ length: 200 }, () => line)), OCI_INDEX);
    const wide = await readArtifact(root(indexOf([line])), source);
    expect(artifactDocuments(wide)).toHaveLength(8);
    await expect(artifactImage(wide, { platform })).rejects.toMatchObject({ code: 'PLATFORM_NOT_FOUND' });
    const many = Array.from({ length: 2001 }, (_, i) => ({ ...line, digest: digestOf(String(i)) }));
    await expect(readArtifact(root(indexOf(many)), source)).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
    const big = Array.from({ length: 20 }, (_, i) => {
      const text = JSON.stringify({
        schemaVersion: 2,
        manifests: [],
        annotations: { a: `${String(i)}${'x'.repeat(4e6)}` },
      });
      return source.put(Buffer.from(text), OCI_INDEX);
    });
    await expect(readArtifact(root(indexOf(big)), source)).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
      message: expect.stringContaining('bytes') as unknown,
    });
  });

  it('refuses bytes that are not those that were meant', async () => {
    const source: ArtifactSource = { ...memory(), document: () => Buffer.from('{}') };
    const line = { mediaType: OCI_MANIFEST, digest: digestOf('x'), size: 2 };
    await expect(readArtifact(root(indexOf([line])), source)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    const wrong = { ...root(indexOf([])), bytes: Buffer.from('{"schemaVersion":2,"manifests":[] }') };
    await expect(readArtifact(wrong, source)).rejects.toMatchObject({ code: 'CONTENT_MISMATCH' });
    await expect(
      readArtifact(root(Buffer.from('{"schemaVersion":2,"manifests":[]}'), OCI_MANIFEST), source),
    ).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
    });
    const claims = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, manifests: [] }));
    await expect(readArtifact(root(claims), source)).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
    const reason = new Error('enough');
    const read = readArtifact(root(composeIndex([image]).bytes), memory(), { signal: AbortSignal.abort(reason) });
    await expect(read).rejects.toBe(reason);
  });
});
