import { describe, expect, it } from '@jest/globals';

import { digestOf } from '../digest.ts';
import { DOCKER_MANIFEST_LIST } from '../media-types.ts';
import { parseIndex } from '../manifest.ts';
import {
  artifactIndex,
  artifactManifest,
  composeArtifact,
  describeArtifact,
  imageArtifact,
  type Artifact,
} from './artifact.ts';
import { blobFromBytes } from './blob.ts';
import { emptyImage, manifestDigest, withConfig, withSubject, annotate, type Image } from './image.ts';
import { annotateIndex, composeIndex, withIndexMember, withoutIndexMember } from './image-index.ts';

const image = (architecture: string, variant?: string): Image => emptyImage({ architecture, variant });
const raw = (index: Artifact): { manifests: Record<string, unknown>[] } =>
  JSON.parse(index.bytes.toString()) as { manifests: Record<string, unknown>[] };

describe('artifacts', () => {
  it('are made as the specification has them', () => {
    const blob = blobFromBytes(Buffer.from('sbom'), 'application/spdx+json');
    const subject = imageArtifact(image('amd64')).descriptor;
    const sbom = composeArtifact({
      artifactType: 'application/spdx+json',
      blobs: [blob],
      subject,
      annotations: { a: 'b' },
    });
    expect(JSON.parse(sbom.bytes.toString())).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: 'application/spdx+json',
      config: {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
        size: 2,
      },
      layers: [{ mediaType: 'application/spdx+json', digest: digestOf('sbom'), size: 4 }],
      subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
      annotations: { a: 'b' },
    });
    expect(sbom.descriptor).toMatchObject({ artifactType: 'application/spdx+json', digest: digestOf(sbom.bytes) });
    const bare = composeArtifact({ artifactType: 'application/x', blobs: [] });
    expect(artifactManifest(bare).layers).toEqual([artifactManifest(bare).config]);
    expect(() => composeArtifact({ artifactType: 'x', blobs: [] })).toThrow(
      expect.objectContaining({ code: 'IMAGE_INVALID' }),
    );
  });

  it('of images keep a subject through changes', () => {
    const about = withSubject(image('amd64'), imageArtifact(image('arm64')).descriptor);
    const changed = annotate(withConfig(about, { author: 'me' }), { a: 'b' });
    expect(changed.manifest.subject?.digest).toBe(manifestDigest(image('arm64')));
  });
});

describe('an index', () => {
  const index = composeIndex([image('amd64'), image('arm', 'v7')], { annotations: { a: 'b' } });

  it('lists what each image is for', () => {
    expect(artifactIndex(index)).toMatchObject({
      annotations: { a: 'b' },
      manifests: [
        { digest: manifestDigest(image('amd64')), platform: { os: 'linux', architecture: 'amd64' } },
        { platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
      ],
    });
    expect(index.descriptor).toEqual({
      mediaType: 'application/vnd.oci.image.index.v1+json',
      digest: digestOf(index.bytes),
      size: index.bytes.length,
    });
  });

  it('gets, replaces and loses members', () => {
    const more = withIndexMember(index, describeArtifact(image('arm64'), { annotations: { line: 'x' } }));
    expect(artifactIndex(more).manifests[2]?.annotations).toEqual({ line: 'x' });
    const other = withConfig(image('amd64'), { author: 'me' });
    const replaced = withIndexMember(more, other);
    expect(artifactIndex(replaced).manifests.map(({ digest }) => digest)).toEqual([
      manifestDigest(other),
      manifestDigest(image('arm', 'v7')),
      manifestDigest(image('arm64')),
    ]);
    expect(replaced.manifests).toHaveLength(3);
    const fewer = withoutIndexMember(replaced, { os: 'linux', architecture: 'arm' });
    expect(
      withoutIndexMember(fewer, manifestDigest(other)).manifests.map(({ descriptor }) => descriptor.digest),
    ).toEqual([manifestDigest(image('arm64'))]);
    expect(() => withoutIndexMember(index, { os: 'linux', architecture: 's390x' })).toThrow(
      expect.objectContaining({
        code: 'PLATFORM_NOT_FOUND',
        message: `no image for linux/s390x in index ${index.descriptor.digest}: it has linux/amd64, linux/arm/v7`,
      }),
    );
    expect(() => withoutIndexMember(index, digestOf('x'))).toThrow(
      expect.objectContaining({ code: 'IMAGE_NOT_FOUND' }),
    );
    expect(() => withoutIndexMember(imageArtifact(image('amd64')), digestOf('x'))).toThrow(
      expect.objectContaining({ code: 'DOCUMENT_INVALID' }),
    );
  });

  it('keeps what it does not know, and drops attestations with their image', () => {
    const document = raw(index);
    const attestation = {
      ...document.manifests[1],
      digest: digestOf('attestation'),
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: { 'vnd.docker.reference.digest': manifestDigest(image('amd64')) },
    };
    const bytes = Buffer.from(
      JSON.stringify({ ...document, 'x-new': [1], manifests: [{ ...document.manifests[0], odd: true }, attestation] }),
    );
    const foreign: Artifact = { ...index, bytes };
    const more = withIndexMember(foreign, image('arm64'));
    expect(raw(more)).toMatchObject({
      'x-new': [1],
      manifests: [{ odd: true }, { digest: digestOf('attestation') }, {}],
    });
    const replaced = withIndexMember(foreign, withConfig(image('amd64'), { author: 'x' }));
    expect(raw(replaced).manifests).toHaveLength(1);
    expect(raw(withoutIndexMember(foreign, { os: 'linux', architecture: 'amd64' })).manifests).toEqual([]);
    expect(raw(annotateIndex(foreign, { c: 'd' }))).toMatchObject({ 'x-new': [1], annotations: { a: 'b', c: 'd' } });
  });

  it.each([
    [
      'two images for one platform',
      () => composeIndex([image('arm', 'v7'), withConfig(image('arm'), { author: 'x' })]),
    ],
    [
      'an image that does not say for what',
      () => {
        const { digest, size, mediaType } = imageArtifact(image('amd64')).descriptor;
        return composeIndex([{ ...imageArtifact(image('amd64')), descriptor: { digest, size, mediaType } }]);
      },
    ],
    ['OCI manifests in a Docker list', () => composeIndex([image('amd64')], { mediaType: DOCKER_MANIFEST_LIST })],
    ['annotations of a Docker list', () => composeIndex([], { mediaType: DOCKER_MANIFEST_LIST, annotations: {} })],
    ['another media type', () => composeIndex([], { mediaType: 'text/plain' })],
    ['an artifact type that is none', () => composeIndex([], { artifactType: 'x' })],
  ])('refuses %s', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }));
  });

  it('is no manifest, and the other way round', () => {
    const both = Buffer.from('{"schemaVersion":2,"manifests":[],"layers":[]}');
    expect(() => parseIndex(both)).toThrow(expect.objectContaining({ code: 'DOCUMENT_INVALID' }));
  });
});
