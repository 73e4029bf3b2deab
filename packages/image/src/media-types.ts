export const OCI_INDEX: string = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST: string = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG: string = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER: string = 'application/vnd.oci.image.layer.v1.tar';
export const OCI_LAYER_GZIP: string = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const OCI_LAYER_ZSTD: string = 'application/vnd.oci.image.layer.v1.tar+zstd';
/** Two bytes, `{}`: the config of what needs none. */
export const OCI_EMPTY: string = 'application/vnd.oci.empty.v1+json';
export const DOCKER_MANIFEST_LIST: string = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST: string = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_CONFIG: string = 'application/vnd.docker.container.image.v1+json';
export const DOCKER_LAYER_GZIP: string = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
export const DOCKER_LAYER: string = 'application/vnd.docker.image.rootfs.diff.tar';

export const isIndexType = (mediaType: string): boolean =>
  mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST;
export const isManifestType = (mediaType: string): boolean =>
  mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;
