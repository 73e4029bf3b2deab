import { ImageError } from '../errors.ts';
import { artifactBlobs, artifactDocuments, isIndexArtifact, type Artifact } from './artifact.ts';
import { verifiedBytes } from './blob.ts';
import { readImage, type Image } from './image.ts';
import { artifactImage, isImageManifest, readArtifact } from './read-artifact.ts';
import { NO_SINK, readVerifiedLayer, type ReadLayerOptions } from './verified-layer.ts';

/**
 * Reads all of an image, and checks that it is whole: config and layers have the digests and sizes that the manifest
 * says, layers unpack to the diff ids that the config says, and are tar archives within the limits.
 *
 * @throws {@link ImageError} what is wrong: `CONTENT_MISMATCH`, `IMAGE_INVALID`, `DOCUMENT_INVALID`, `LAYER_INVALID`,
 *   `LAYER_LIMIT`, `COMPRESSION_UNSUPPORTED`; and what a source throws for what is missing
 */
export const validateImage = async (image: Image, options: ReadLayerOptions = {}): Promise<void> => {
  options.signal?.throwIfAborted();
  readImage(image.manifestBytes, image.configBytes, image.layers);
  const { size } = image.manifest.config;
  if (image.configBytes.length !== size)
    throw new ImageError(
      'CONTENT_MISMATCH',
      `config has ${String(image.configBytes.length)} bytes, not ${String(size)}`,
    );
  checkHistory(image);
  for (const [i, layer] of image.layers.entries()) {
    const said = image.manifest.layers[i];
    if (said?.size !== layer.descriptor.size)
      throw new ImageError('IMAGE_INVALID', `layer ${layer.descriptor.digest} is described in two ways`);
    await readVerifiedLayer(layer, NO_SINK, options);
  }
};

const checkHistory = ({ config, manifest }: Image): void => {
  const steps = config.history?.filter((step) => step.empty_layer !== true).length;
  if (steps === undefined || steps === 0 || steps === config.rootfs.diff_ids.length) return;
  throw new ImageError(
    'IMAGE_INVALID',
    `image ${manifest.config.digest} has ${String(config.rootfs.diff_ids.length)} layers and a history of ${String(steps)}`,
  );
};

/**
 * The same for anything: every document and blob of it, and every image in it as {@link validateImage} does.
 *
 * @throws {@link ImageError} as {@link validateImage}
 */
export const validateArtifact = async (artifact: Artifact, options: ReadLayerOptions = {}): Promise<void> => {
  const { signal } = options;
  const documents = artifactDocuments(artifact);
  const known = new Map(documents.map(({ descriptor, bytes }) => [descriptor.digest, bytes]));
  const blobs = new Map(artifactBlobs(artifact).map((blob) => [blob.descriptor.digest, blob]));
  // Reading it again from itself repeats every check of its documents.
  await readArtifact(
    artifact,
    { document: ({ digest }) => known.get(digest), blob: (line) => blobs.get(line.digest) ?? absent(line.digest) },
    { signal },
  );
  for (const document of documents) {
    if (isIndexArtifact(document)) continue;
    if (isImageManifest(document)) await validateImage(await artifactImage(document, { signal }), options);
    else for (const blob of document.blobs) for await (const _ of verifiedBytes(blob, { signal })) continue;
  }
};

const absent = (digest: string): never => {
  throw new ImageError('IMAGE_INVALID', `blob ${digest} is missing`, { path: digest });
};
