import { goArchitecture, type Descriptor } from '../descriptor.ts';
import { digestOf, type Digest } from '../digest.ts';
import { compact } from '../document.ts';
import { ImageError } from '../errors.ts';
import { parseImageConfig, type ContainerDefaults, type History, type ImageConfig } from '../image-config.ts';
import type { Manifest } from '../manifest.ts';
import { parseManifest } from '../manifest.ts';
import {
  DOCKER_LAYER,
  DOCKER_LAYER_GZIP,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from '../media-types.ts';
import type { Blob } from './blob.ts';

/** A set of file changes: a tar archive, compressed or not, that can be read as often as one likes. */
export interface Layer extends Blob {
  /** Hash of the archive, decompressed. */
  readonly diffId: Digest;
}

/**
 * An image: an immutable value. Sources make one (the store, an archive, {@link emptyImage}), functions derive others,
 * sinks take one.
 */
export interface Image {
  /** The exact bytes of the manifest; their hash is the manifest's digest. */
  readonly manifestBytes: Buffer;
  readonly manifest: Manifest;
  /** The exact bytes of the config; their hash is the image's id. */
  readonly configBytes: Buffer;
  readonly config: ImageConfig;
  /** The lowest first. */
  readonly layers: readonly Layer[];
}

/** The image's id: the digest of its config. */
export const imageId = (image: Image): Digest => image.manifest.config.digest;

export const manifestDigest = (image: Image): Digest => digestOf(image.manifestBytes);

const bytesOf = (document: unknown): Buffer => Buffer.from(JSON.stringify(document));

/** Makes an image of a config and its layers, with an OCI manifest; layers get OCI's media types. */
export const composeImage = (
  config: ImageConfig | Buffer,
  layers: readonly Layer[],
  annotations?: Readonly<Record<string, string>>,
): Image => assemble(Buffer.isBuffer(config) ? config : bytesOf(config), layers, { annotations });

/** What a manifest says besides its config and layers. */
type Extras = Pick<Manifest, 'annotations' | 'subject' | 'artifactType'>;

const assemble = (configBytes: Buffer, given: readonly Layer[], extras: Extras): Image => {
  const layers = given.map(withOciType);
  const manifest: Manifest = compact({
    schemaVersion: 2 as const,
    mediaType: OCI_MANIFEST,
    artifactType: extras.artifactType,
    config: { mediaType: OCI_CONFIG, digest: digestOf(configBytes), size: configBytes.length },
    layers: layers.map(({ descriptor }) => descriptor),
    subject: extras.subject,
    annotations: extras.annotations,
  });
  return readImage(bytesOf(manifest), configBytes, layers);
};

const OCI_TYPES: ReadonlyMap<string, string> = new Map([
  [DOCKER_LAYER, OCI_LAYER],
  [DOCKER_LAYER_GZIP, OCI_LAYER_GZIP],
]);

const withOciType = (layer: Layer): Layer => {
  const mediaType = OCI_TYPES.get(layer.descriptor.mediaType);
  return mediaType === undefined ? layer : { ...layer, descriptor: { ...layer.descriptor, mediaType } };
};

/** Another image with the same manifest around other parts. */
export const deriveImage = (
  image: Image,
  parts: { readonly configBytes?: Buffer; readonly layers?: readonly Layer[]; readonly extras?: Extras },
): Image => {
  const { annotations, subject, artifactType } = image.manifest;
  return assemble(parts.configBytes ?? image.configBytes, parts.layers ?? image.layers, {
    annotations,
    subject,
    artifactType,
    ...parts.extras,
  });
};

/** The config with members replaced; those that this package doesn't know stay. */
export const patchConfig = (
  image: Image,
  patch: { readonly [K in keyof ImageConfig]?: ImageConfig[K] | undefined },
): Buffer => {
  const known = JSON.parse(image.configBytes.toString()) as Readonly<Record<string, unknown>>;
  const defaults = patch.config && compact({ ...(known['config'] as ContainerDefaults | undefined), ...patch.config });
  return bytesOf({ ...known, ...patch, ...(defaults && { config: defaults }) });
};

/**
 * An image from documents that somebody else wrote, byte for byte.
 *
 * @throws {@link ImageError} `DOCUMENT_INVALID`, `CONTENT_MISMATCH`, and `IMAGE_INVALID`: config, manifest and layers
 *   do not belong together
 */
export const readImage = (manifestBytes: Buffer, configBytes: Buffer, layers: readonly Layer[]): Image => {
  const manifest = parseManifest(manifestBytes);
  if (digestOf(configBytes) !== manifest.config.digest) {
    throw new ImageError('CONTENT_MISMATCH', `config is not ${manifest.config.digest}, which the manifest names`);
  }
  const config = parseImageConfig(configBytes);
  const diffIds = config.rootfs.diff_ids;
  const fits =
    manifest.layers.length === layers.length &&
    diffIds.length === layers.length &&
    layers.every((layer, i) => layer.diffId === diffIds[i] && layer.descriptor.digest === manifest.layers[i]?.digest);
  if (!fits) {
    throw new ImageError(
      'IMAGE_INVALID',
      `image ${manifest.config.digest} lists ${String(diffIds.length)} layers in its config and ${String(manifest.layers.length)} in its manifest, or other ones`,
    );
  }
  return { manifestBytes, manifest, configBytes, config, layers };
};

export interface EmptyImageOptions {
  /** Go's word for the machine: `amd64`. Default: this one's. */
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
  /** Default: `linux`. */
  readonly os?: string | undefined;
}

/** An image without layers, Docker's `scratch`. */
export const emptyImage = (options: EmptyImageOptions = {}): Image =>
  composeImage(
    compact({
      architecture: options.architecture ?? goArchitecture(process.arch),
      os: options.os ?? 'linux',
      variant: options.variant,
      rootfs: { type: 'layers' as const, diff_ids: [] },
    }),
    [],
  );

/** A new image with one more layer on top. `history` says what made it, for `docker history`. */
export const appendLayer = (image: Image, layer: Layer, history: History = {}): Image =>
  deriveImage(image, {
    configBytes: patchConfig(image, {
      rootfs: { type: 'layers', diff_ids: [...image.config.rootfs.diff_ids, layer.diffId] },
      history: [...(image.config.history ?? []), history],
    }),
    layers: [...image.layers, layer],
  });

/** Members of the config to replace; those of `config` replace one by one, and `undefined` takes a member away. */
export interface ConfigPatch {
  readonly created?: string | undefined;
  readonly author?: string | undefined;
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
  readonly os?: string | undefined;
  readonly config?: ContainerDefaults | undefined;
  /** Appended to the history, as a step without a layer. */
  readonly history?: History | undefined;
}

/**
 * A new image with another config: `withConfig(image, { config: { Cmd: ['node', 'app.js'] } })`. Members of the config
 * that this package doesn't know stay.
 */
export const withConfig = (image: Image, { history, ...patch }: ConfigPatch): Image => {
  const steps = image.config.history ?? [];
  const { architecture, os } = image.config;
  const changed = {
    ...patch,
    architecture: patch.architecture ?? architecture,
    os: patch.os ?? os,
    config: patch.config ?? {},
    ...(history === undefined ? {} : { history: [...steps, { ...history, empty_layer: true }] }),
  };
  return deriveImage(image, { configBytes: patchConfig(image, changed) });
};

/** A new image whose manifest has these annotations besides its own. */
export const annotate = (image: Image, annotations: Readonly<Record<string, string>>): Image =>
  deriveImage(image, { extras: { annotations: { ...image.manifest.annotations, ...annotations } } });

/** A new image that is about another one, as whose referrer registries list it. */
export const withSubject = (image: Image, { mediaType, digest, size }: Descriptor): Image =>
  deriveImage(image, { extras: { subject: { mediaType, digest, size } } });
