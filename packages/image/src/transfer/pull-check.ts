import type { Descriptor } from '../descriptor.ts';
import { ImageError, quote } from '../errors.ts';
import type { Image } from '../image/image.ts';
import { DOCKER_LAYER, DOCKER_LAYER_GZIP, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from '../media-types.ts';

const LAYER_TYPES: ReadonlySet<string> = new Set([
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  DOCKER_LAYER,
  DOCKER_LAYER_GZIP,
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
]);
/** Layers of Windows that registries must not hand on; some do. Their `urls` are never followed: anybody may have written them. */
const FOREIGN_TYPE =
  /^application\/vnd\.(?:docker\.image\.rootfs\.foreign\.diff\.tar|oci\.image\.layer\.nondistributable\.v1\.tar)/;
/** Far more than overlayfs stacks. */
const LAYERS_MAX = 1024;
const SIZE_MAX = 1024 ** 4;

const refuse = (what: string, path: string): ImageError => new ImageError('IMAGE_INVALID', what, { path });

/**
 * Whether we can unpack what a manifest names, before any of it is fetched.
 *
 * @throws {@link ImageError} `IMAGE_INVALID`, `LAYER_LIMIT`
 */
export const checkLayers = (name: string, { layers }: Image): void => {
  if (layers.length > LAYERS_MAX)
    throw new ImageError('LAYER_LIMIT', `image refused: ${name} has more than ${String(LAYERS_MAX)} layers`, {
      path: name,
    });
  for (const { descriptor } of layers) checkLayer(name, descriptor);
};

const checkLayer = (name: string, { mediaType, digest, size }: Descriptor): void => {
  if (size > SIZE_MAX)
    throw new ImageError('LAYER_LIMIT', `layer refused: ${digest} of ${name} has more than ${String(SIZE_MAX)} bytes`, {
      path: digest,
    });
  if (LAYER_TYPES.has(mediaType) || FOREIGN_TYPE.test(mediaType)) return;
  throw refuse(`cannot unpack layer ${digest} of ${name}: it has the type ${quote(mediaType)}`, digest);
};

/** A layer that the registry hasn't got because it must not: says so. */
export const explainForeign = (error: unknown, { mediaType, digest }: Descriptor): unknown =>
  FOREIGN_TYPE.test(mediaType)
    ? new ImageError(
        'IMAGE_INVALID',
        `cannot fetch layer ${digest}: it is a foreign one, which the registry hasn't got, and the addresses that the manifest gives are not followed`,
        { path: digest, cause: error },
      )
    : error;
