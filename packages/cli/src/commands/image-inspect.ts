import type { StoredImage } from '@tsc/image';

import { splitName } from './image-row.ts';

/** An image in the shape that Docker's `inspect` has. */
export function describeImage(image: StoredImage): Readonly<Record<string, unknown>> {
  const { config } = image;
  const defaults = config.config ?? {};
  return {
    Id: image.id,
    RepoTags: image.names,
    RepoDigests: [...new Set(image.names.map((name) => `${splitName(name).repository}@${image.manifestDigest}`))],
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: image.created ?? '',
    Author: config.author ?? '',
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: image.sizeBytes,
    GraphDriver: { Name: 'overlay2', Data: graphData(image.layerDirs) },
    RootFS: { Type: config.rootfs.type, Layers: config.rootfs.diff_ids },
    Config: {
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
    },
  };
}

const graphData = ([upper, ...lower]: readonly string[]): Readonly<Record<string, string>> => ({
  ...(lower.length === 0 ? {} : { LowerDir: lower.join(':') }),
  ...(upper === undefined ? {} : { UpperDir: upper }),
});
