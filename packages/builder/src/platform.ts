import { BuilderError } from './errors.ts';

/** `linux/arm/v7` in parts. */
export interface BuildPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

/** Other spellings that Docker takes. */
const ARCHITECTURES: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['aarch64', ['arm64']],
  ['i386', ['386']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
]);

/** Node's names of processors, as images write them. */
const NODE_ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', '386'],
  ['ppc64', 'ppc64le'],
  ['loong64', 'loong64'],
]);

/** Without one of these in front, the first part is a processor: `arm/v7`. */
const OPERATING_SYSTEMS = new Set(['linux', 'windows', 'darwin', 'freebsd', 'netbsd', 'openbsd', 'wasip1', 'js']);

/** The platform of the machine: images are Linux wherever they are built. */
export const hostPlatform = (nodeArch: string = process.arch): BuildPlatform => ({
  os: 'linux',
  architecture: NODE_ARCHITECTURES.get(nodeArch) ?? nodeArch,
  variant: undefined,
});

const isPart = (text: string | undefined): text is string => text !== undefined && /^[A-Za-z0-9_.-]+$/.test(text);

/**
 * Reads `linux/amd64`, `linux/arm/v7`, or a bare architecture.
 *
 * @throws {@link BuilderError} `BUILDER_BAD_PLATFORM`
 */
export function parsePlatform(text: string): BuildPlatform {
  const words = text.toLowerCase().split('/');
  const parts = OPERATING_SYSTEMS.has(words[0] ?? '') ? words : ['linux', ...words];
  const [os, written, variant] = parts;
  if (parts.length > 3 || !isPart(os) || !isPart(written) || (variant !== undefined && !isPart(variant))) {
    throw new BuilderError('BUILDER_BAD_PLATFORM', `${text} is no platform, write os/architecture[/variant]`);
  }
  const [architecture, implied] = ARCHITECTURES.get(written) ?? [written];
  const found = variant ?? implied;
  // arm64/v8 is the plain arm64, and images are found by the short name.
  return { os, architecture, variant: architecture === 'arm64' && found === 'v8' ? undefined : found };
}

export const formatPlatform = ({ os, architecture, variant }: BuildPlatform): string =>
  variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
