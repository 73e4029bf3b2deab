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
  DOCKER_LAYER,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_CONFIG,
  OCI_EMPTY,
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
export { formatPlatform, hostPlatform, matchPlatform, normalizePlatform, parsePlatform } from './platform.ts';
export { blobFromBytes, readBlob, type Blob, type OpenOptions } from './image/blob.ts';
export {
  artifactBlobs,
  artifactDocuments,
  artifactIndex,
  artifactManifest,
  composeArtifact,
  describeArtifact,
  imageArtifact,
  isIndexArtifact,
  type Artifact,
  type ArtifactParts,
} from './image/artifact.ts';
export { artifactImage, readArtifact, type ArtifactSource, type ReadArtifactOptions } from './image/read-artifact.ts';
export {
  annotateIndex,
  composeIndex,
  withIndexMember,
  withoutIndexMember,
  type IndexOptions,
} from './image/image-index.ts';
export { extractImage, type ExtractOptions } from './image/extract.ts';
export { flattenImage, type FlattenOptions } from './image/flatten.ts';
export { rebaseImage } from './image/rebase.ts';
export {
  diffImages,
  type ConfigChange,
  type FileAspect,
  type FileChange,
  type FileState,
  type ImageDiff,
} from './image/diff.ts';
export { validateArtifact, validateImage } from './image/validate.ts';
export type { ReadLayerOptions } from './image/verified-layer.ts';
export { openImageLayout, type ImageLayout, type LayoutOptions } from './layout/image-layout.ts';
export type { LayoutEntry } from './layout/layout-lines.ts';
export type { Compression } from './layer/compression.ts';
export { syncFileSystem } from './layer/durable.ts';
export {
  readLayer,
  unpackLayer,
  type ByteSource,
  type LayerLimits,
  type ReadLayer,
  type UnpackedLayer,
  type UnpackOptions,
} from './layer/unpack.ts';
export {
  annotate,
  appendLayer,
  composeImage,
  emptyImage,
  imageId,
  manifestDigest,
  readImage,
  withConfig,
  withSubject,
  type ConfigPatch,
  type EmptyImageOptions,
  type Image,
  type Layer,
} from './image/image.ts';
export type { Collected, LayersInUse } from './store/garbage.ts';
export {
  openImageStore,
  type CallOptions,
  type ImageStore,
  type ImageStoreOptions,
  type RemoveReport,
  type StoredImage,
  type StoredLayer,
  type SweepReport,
  type WriteOptions,
} from './store/store.ts';
export type { ImagesInUse, PruneOptions, PruneReport } from './store/prune.ts';
export type { ImageUsage, KindUsage, StoreUsage } from './store/usage.ts';
export {
  pullImage,
  type PulledImage,
  type PullEvent,
  type PullOptions,
  type PullSource,
  type PullStatus,
} from './transfer/pull.ts';
export {
  pushArtifact,
  pushImage,
  type PushArtifactOptions,
  type Pushed,
  type PushEvent,
  type PushOptions,
  type PushStatus,
  type PushTarget,
} from './transfer/push.ts';
export {
  layerFromDirectory,
  layerFromFiles,
  layerFromMembers,
  layerFromTar,
  type DirectoryLayerOptions,
  type FileEntry,
  type FilesLayerOptions,
  type TarLayerOptions,
} from './image/layer-source.ts';
export { packLayer, type LayerStream, type Ownership, type PackedLayer, type PackOptions } from './layer/pack.ts';
export { walkDirectory, type SourceMember, type WalkOptions } from './layer/source-tree.ts';
export type { TarEntry, TarEntryType, TarLimits, TarSink } from './tar/entry.ts';
export type { TarMember } from './tar/writer.ts';
export { applyChanges } from './archive/changes.ts';
export { packArchive, unpackArchive, type PackArchiveOptions, type UnpackArchiveOptions } from './archive/plain.ts';
export { importImage, type ImportOptions } from './archive/import.ts';
export { openImageArchive, type ImageArchive, type OpenArchiveOptions } from './archive/open.ts';
export { loadArchive, type LoadedImage, type LoadOptions } from './archive/load.ts';
export {
  archiveArtifacts,
  archiveImages,
  type ArchiveOptions,
  type NamedArtifact,
  type NamedImage,
} from './archive/write.ts';
export { saveArchive } from './archive/save.ts';
export { recompressImage, recompressLayer, type RecompressOptions } from './image/recompress.ts';
export type { Credential, CredentialQuery, CredentialSource } from './registry/credentials.ts';
export { openCredentialFile, type CredentialFile, type CredentialFileOptions } from './registry/credential-file.ts';
export {
  parseRegistriesConfig,
  type RegistriesConfig,
  type RegistryHost,
  type RegistryMirror,
} from './registry/registries-config.ts';
export {
  openRegistryClient,
  type ProxyOptions,
  type RegistryClient,
  type RegistryClientOptions,
  type RetryOptions,
  type SearchResult,
  type TimeoutOptions,
} from './registry/client.ts';
export type {
  FetchedManifest,
  ListOptions,
  OpenBlobOptions,
  PutManifestOptions,
  Repository,
  UploadBlobOptions,
} from './registry/repository.ts';
