import { describe, expect, it } from '@jest/globals';

import { imageOf } from '../../test/tar-list.ts';
import { digestOf } from '../digest.ts';
import { composeArtifact } from './artifact.ts';
import { blobFromBytes } from './blob.ts';
import { composeImage, type Image, type Layer } from './image.ts';
import { composeIndex } from './image-index.ts';
import { validateArtifact, validateImage } from './validate.ts';

const made = (): Promise<Image> => imageOf([{ name: 'a', content: 'x' }]);

describe('validateImage', () => {
  it('reads all of an image, an index or an artifact', async () => {
    const image = await made();
    await validateImage(image);
    await validateArtifact(composeIndex([image]));
    await validateArtifact(composeArtifact({ artifactType: 'a/b', blobs: [blobFromBytes(Buffer.from('x'), 'a/b')] }));
  });

  it('says what is wrong', async () => {
    const image = await made();
    const [layer] = image.layers as [Layer];
    const lies: readonly [string, Image][] = [
      ['CONTENT_MISMATCH', { ...image, configBytes: Buffer.from('{}') }],
      ['IMAGE_INVALID', { ...image, layers: [] }],
      [
        'CONTENT_MISMATCH',
        { ...image, layers: [{ ...layer, open: () => blobFromBytes(Buffer.alloc(1024), '').open() }] },
      ],
      ['LAYER_INVALID', { ...image, layers: [{ ...layer, open: () => blobFromBytes(Buffer.from('x'), '').open() }] }],
      ['IMAGE_INVALID', { ...image, layers: [{ ...layer, descriptor: { ...layer.descriptor, size: 1 } }] }],
      ['IMAGE_INVALID', composeImage({ ...image.config, history: [{}, {}] }, image.layers)],
    ];
    for (const [code, lie] of lies)
      await expect(validateImage(lie)).rejects.toMatchObject({ name: 'ImageError', code });
    const index = composeIndex([image]);
    await expect(validateArtifact({ ...index, bytes: Buffer.from('{}') })).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
    const [member] = index.manifests as [(typeof index)['manifests'][number]];
    const gone = { ...member, blobs: [] };
    await expect(validateArtifact({ ...index, manifests: [gone] })).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
    const blob = {
      ...blobFromBytes(Buffer.from('x'), 'a/b'),
      descriptor: { mediaType: 'a/b', digest: digestOf('y'), size: 1 },
    };
    await expect(validateArtifact(composeArtifact({ artifactType: 'a/b', blobs: [blob] }))).rejects.toMatchObject({
      code: 'CONTENT_MISMATCH',
    });
  });
});
