export { chainId, chainIds, digestHex, digestOf, isDigest, parseDigest, type Digest } from './digest.ts';
export type { Descriptor, Platform } from './descriptor.ts';
export { ImageError, isImageError, type ImageErrorCode, type ImageErrorDetails } from './errors.ts';
export {
  parseImageConfig,
  type ContainerDefaults,
  type Empty,
  type Healthcheck,
  type History,
  type ImageConfig,
} from './image-config.ts';
export { parseIndex, parseManifest, type Index, type Manifest } from './manifest.ts';
export {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from './media-types.ts';
export {
  formatFamiliarReference,
  formatReference,
  formatRepository,
  parseReference,
  type Reference,
} from './reference.ts';
export type { Compression } from './layer/compression.ts';
export { unpackLayer, type LayerLimits, type UnpackedLayer, type UnpackOptions } from './layer/unpack.ts';
