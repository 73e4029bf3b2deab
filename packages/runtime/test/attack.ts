import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { expect } from '@jest/globals';

import { isRuntimeError } from '../src/index.ts';
import type { OciMount, OciSpec } from '../src/index.ts';
import type { BusyboxRoot } from './busybox-root.ts';
import { TestContainer } from './test-container.ts';
import type { ContainerOptions } from './test-container.ts';

export const bind = (destination: string, source: string): OciMount => ({
  destination,
  type: 'bind',
  source,
  options: ['rbind'],
});

export const withMounts = (spec: OciSpec, ...mounts: readonly OciMount[]): OciSpec => ({
  ...spec,
  mounts: [...(spec.mounts ?? []), ...mounts],
});

/** Everything that can be seen of a directory: names, kinds, modes, times of change. */
const traceOf = (dir: string): string =>
  [dir, ...readdirSync(dir).map((name) => join(dir, name))]
    .map((path) => {
      const { mode, uid, gid, size, ctimeMs } = lstatSync(path);
      return [path, mode, uid, gid, size, ctimeMs].join(' ');
    })
    .join('\n');

/**
 * Starts a container and holds it to this: it was refused, or it ran, and either way nothing changed in the directory
 * beside it. Resolves to what it said, or to the error's code.
 */
export async function attack(script: string, options: ContainerOptions): Promise<string> {
  const image = (root: BusyboxRoot): void => {
    options.image?.(root);
    const before = traceOf(root.canaryDir);
    root.beforeRemoval = () => {
      expect(traceOf(root.canaryDir)).toBe(before);
    };
  };
  try {
    await using container = await TestContainer.start(['sh', '-c', script], { ...options, image });
    return (await container.finished()).stdout;
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    return error.code;
  }
}
