import type { ContainerSpec, Engine, PortSpec } from '@tsc/engine';

import { parseExposed } from '../words/ports.ts';
import type { ContainerRequest } from './container.ts';

/** Adds, for `-P`, the ports that the image exposes and nobody published. */
export async function publishExposed(engine: Engine, { spec, publishAll }: ContainerRequest): Promise<ContainerSpec> {
  if (!publishAll) return spec;
  const image = await engine.images.resolve(spec.image);
  const exposed = Object.keys(image.config.config?.ExposedPorts ?? {}).flatMap(parseExposed);
  return { ...spec, ports: [...(spec.ports ?? []), ...stillUnpublished(spec.ports ?? [], exposed)] };
}

export const stillUnpublished = (
  published: readonly PortSpec[],
  exposed: readonly { readonly protocol: PortSpec['protocol']; readonly port: number }[],
): readonly PortSpec[] =>
  exposed
    .filter(({ protocol, port }) => !published.some((p) => p.containerPort === port && p.protocol === protocol))
    .map(({ protocol, port }) => ({ protocol, containerPort: port }));
