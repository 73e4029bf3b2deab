import type { ContainerDefaults, Descriptor, StoredImage } from '@tsc/image';

/** Go's zero time: the store doesn't keep when an image got its names. */
const UNKNOWN_TIME = '0001-01-01T00:00:00Z';

/** An image in the shape that Docker's `inspect` has; `descriptor` is that of its manifest. */
export function describeImage(image: StoredImage, descriptor: Descriptor): Readonly<Record<string, unknown>> {
  const { config } = image;
  const defaults = config.config ?? {};
  return {
    Id: image.id,
    RepoTags: image.names,
    RepoDigests: image.repoDigests,
    Parent: '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: image.created ?? '',
    DockerVersion: '',
    Author: config.author ?? '',
    Config: describeDefaults(defaults),
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config['os.version'] === undefined ? {} : { OsVersion: config['os.version'] }),
    Size: image.sizeBytes,
    GraphDriver: { Name: 'overlay2', Data: graphData(image.layerDirs) },
    RootFS: { Type: config.rootfs.type, Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: UNKNOWN_TIME },
    Descriptor: descriptor,
  };
}

const describeDefaults = (defaults: ContainerDefaults): Readonly<Record<string, unknown>> => ({
  User: defaults.User ?? '',
  ExposedPorts: defaults.ExposedPorts ?? null,
  Env: defaults.Env ?? null,
  Entrypoint: defaults.Entrypoint ?? null,
  Cmd: defaults.Cmd ?? null,
  Volumes: defaults.Volumes ?? null,
  WorkingDir: defaults.WorkingDir ?? '',
  Labels: defaults.Labels ?? null,
  OnBuild: defaults.OnBuild ?? null,
  ...(defaults.StopSignal === undefined ? {} : { StopSignal: defaults.StopSignal }),
  ...(defaults.Healthcheck === undefined ? {} : { Healthcheck: defaults.Healthcheck }),
  ...(defaults.Shell === undefined ? {} : { Shell: defaults.Shell }),
});

/** An image is never mounted alone, so there is no directory where it would be. */
const graphData = ([upper, ...lower]: readonly string[]): Readonly<Record<string, string>> => ({
  ...(lower.length === 0 ? {} : { LowerDir: lower.join(':') }),
  ...(upper === undefined ? {} : { UpperDir: upper }),
});
