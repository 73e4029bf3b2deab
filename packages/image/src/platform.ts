import { goArchitecture, type Descriptor, type Platform } from './descriptor.ts';
import { compact } from './document.ts';
import { ImageError, quote } from './errors.ts';

const OSES = new Set(
  'aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris wasip1 windows zos'.split(
    ' ',
  ),
);
const ARCHITECTURES = new Set(
  '386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm'.split(' '),
);
/** What other tools say for an architecture, and the variant that goes with it. */
const ALIASES: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ['i386', ['386', '']],
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['aarch64', ['arm64']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
]);
const PART = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** Variants as they are compared: without the one that is meant when none is given; `v` before a number. */
const normalizeVariant = (architecture: string, variant: string): string => {
  const named = /^[0-9]/.test(variant) ? `v${variant}` : variant;
  if (architecture === '386') return '';
  if (architecture === 'amd64') return named === 'v1' ? '' : named;
  if (architecture === 'arm') return named === '' ? 'v7' : named;
  if (architecture === 'arm64') return ['v8', 'v8.0'].includes(named) ? '' : named === 'v9.0' ? 'v9' : named;
  return variant;
};

/**
 * One way to say each platform, by containerd's rules: `x86_64` is `amd64`, `aarch64/v8` is `arm64`, `armhf` and a bare
 * `arm` are `arm/v7`, `macos` is `darwin`.
 *
 * @see https://github.com/containerd/platforms
 */
export const normalizePlatform = (platform: Platform): Platform => {
  const os = platform.os.toLowerCase();
  const said = platform.architecture.toLowerCase();
  const [architecture, implied] = ALIASES.get(said) ?? [said];
  const variant = normalizeVariant(architecture, implied ?? (platform.variant ?? '').toLowerCase());
  const features = platform['os.features'] ?? [];
  return compact({
    architecture,
    os: os === 'macos' ? 'darwin' : os,
    variant: variant === '' ? undefined : variant,
    'os.version': platform['os.version'] === '' ? undefined : platform['os.version'],
    'os.features': features.length === 0 ? undefined : features,
  });
};

/** What containers run on here: Linux on this machine's processor, whatever system Node itself runs on. */
export const hostPlatform = (): Platform =>
  normalizePlatform({ os: 'linux', architecture: goArchitecture(process.arch), variant: armVariant() });

const armVariant = (): string | undefined => {
  const variables = process.config.variables as { readonly arm_version?: unknown };
  return process.arch === 'arm' && typeof variables.arm_version === 'string' ? `v${variables.arm_version}` : undefined;
};

/**
 * Reads what people write after `--platform`: `linux/arm64`, `linux/arm/v7`, `windows(10.0.17763)/amd64`, or one of the
 * two: `linux` on this machine's processor, `arm64` with Linux. The result is normalized.
 *
 * @throws {@link ImageError} `PLATFORM_INVALID`
 */
export const parsePlatform = (text: string): Platform => {
  const [first = '', architecture, variant, ...rest] = text.split('/');
  const [, os = '', version] = /^([^()]*)(?:\(([^()]*)\))?$/.exec(first) ?? [];
  const parts = [os, version, architecture, variant].filter((part) => part !== undefined);
  if (rest.length > 0 || text.length > 255 || !parts.every((part) => PART.test(part))) throw invalid(text);
  if (architecture !== undefined) return normalizePlatform({ os, architecture, variant, 'os.version': version });
  const alone = normalizePlatform({ os: 'linux', architecture: os });
  if (ARCHITECTURES.has(alone.architecture) && version === undefined) return alone;
  const system = normalizePlatform({ ...hostPlatform(), os, 'os.version': version });
  if (!OSES.has(system.os)) throw invalid(text);
  return system;
};

const invalid = (text: string): ImageError =>
  new ImageError(
    'PLATFORM_INVALID',
    `invalid platform ${quote(text)}: want os/architecture or os/architecture/variant`,
    {
      path: text,
    },
  );

/** `linux/arm/v7`; {@link parsePlatform}'s counterpart. */
export const formatPlatform = (platform: Platform): string => {
  const { os, architecture, variant, 'os.version': version } = normalizePlatform(platform);
  return [version === undefined ? os : `${os}(${version})`, architecture, variant].filter(Boolean).join('/');
};

const versions = (from: number, to: number): readonly number[] =>
  Array.from({ length: Math.max(from - to + 1, 0) }, (_, i) => from - i);

const ARM_LOWEST = 5;

/** arm64's v9.x includes v8.(x+5), and each includes what is below it. */
const arm64Variants = (variant: string): readonly string[] => {
  const [, major, minor = '0'] = /^v([89])(?:\.([0-9]{1,2}))?$/.exec(variant === '' ? 'v8' : variant) ?? [];
  if (major === undefined) return [variant];
  const name = (generation: number, at: number): string => `v${String(generation)}${at === 0 ? '' : `.${String(at)}`}`;
  const eights = (most: number): readonly string[] => versions(most, 0).map((at) => name(8, at));
  if (major === '8') return eights(Number(minor));
  return [...versions(Number(minor), 0).map((at) => name(9, at)), ...eights(Number(minor) + 5)];
};

/** What a machine runs besides its own kind, the best first: `[architecture, variant]`. */
const runsOn = ({ architecture, variant = '' }: Platform): readonly (readonly [string, string])[] => {
  const level = Number(/^v([0-9]{1,2})$/.exec(variant)?.[1] ?? Number.NaN);
  const arms = (most: number): readonly (readonly [string, string])[] =>
    versions(most, ARM_LOWEST).map((at) => ['arm', `v${String(at)}`]);
  if (architecture === 'amd64') {
    const lower = Number.isNaN(level) ? [] : versions(level - 1, 1).map((at) => ['amd64', `v${String(at)}`] as const);
    return [['amd64', variant], ...lower, ['386', '']];
  }
  if (architecture === 'arm') return [['arm', variant], ...(Number.isNaN(level) ? [] : arms(level - 1))];
  if (architecture === 'arm64') return [...arm64Variants(variant).map((each) => ['arm64', each] as const), ...arms(8)];
  return [[architecture, variant]];
};

/** Windows runs images of its own build only, of which the first three numbers count; the specification knows no other rule. */
const fitsSystem = (wanted: Platform, offered: Platform): boolean => {
  const build = (version: string): string => version.split('.').slice(0, 3).join('.');
  const [want, have] = [wanted['os.version'], offered['os.version']];
  const features = wanted['os.features'] ?? [];
  return (
    wanted.os === offered.os &&
    (want === undefined || have === undefined || build(want) === build(have)) &&
    (offered['os.features'] ?? []).every((feature) => features.includes(feature))
  );
};

/** How well an image suits: 0 is exactly what was wanted; `undefined` doesn't run. */
const rank = (wanted: Platform, offered: Platform): number | undefined => {
  if (!fitsSystem(wanted, offered)) return undefined;
  const at = runsOn(wanted).findIndex(([architecture, variant]) => {
    const each = normalizePlatform({ os: wanted.os, architecture, variant });
    return each.architecture === offered.architecture && (each.variant ?? '') === (offered.variant ?? '');
  });
  return at < 0 ? undefined : at;
};

/**
 * The best of the candidates for a machine, by containerd's rules: `linux/arm/v7` takes v7, else v6, else v5;
 * `linux/amd64/v3` takes v3, v2, v1, else `linux/386`; `linux/arm64` takes itself, else `linux/arm`. An image that needs
 * an `os.features` entry fits who wants it; `os.version` counts when it is wanted. The first of equals wins.
 */
export const matchPlatform = <T extends Platform>(wanted: Platform, candidates: readonly T[]): T | undefined => {
  const want = normalizePlatform(wanted);
  let best: { readonly candidate: T; readonly rank: number } | undefined;
  for (const candidate of candidates) {
    const at = rank(want, normalizePlatform(candidate));
    if (at !== undefined && (best === undefined || at < best.rank)) best = { candidate, rank: at };
  }
  return best?.candidate;
};

/** Whether two say the same machine: `linux/arm64` and `linux/aarch64/v8` do. */
export const isSamePlatform = (a: Platform, b: Platform): boolean =>
  JSON.stringify(ordered(a)) === JSON.stringify(ordered(b));

const ordered = (platform: Platform): readonly unknown[] => {
  const {
    os,
    architecture,
    variant,
    'os.version': version,
    'os.features': features = [],
  } = normalizePlatform(platform);
  return [os, architecture, variant, version, [...features].sort()];
};

/** The line of an index for a machine; lines without a platform are nobody's. */
export const matchDescriptor = (wanted: Platform, lines: readonly Descriptor[]): Descriptor | undefined => {
  const best = matchPlatform(
    wanted,
    lines.flatMap(({ platform }) => (platform === undefined ? [] : [platform])),
  );
  return best === undefined ? undefined : lines.find(({ platform }) => platform === best);
};

/** The error for whom nothing fits, which says what there is. */
export const platformNotFound = (
  wanted: Platform,
  { where, present }: { readonly where: string; readonly present: readonly Platform[] },
): ImageError => {
  const names = [...new Set(present.map(formatPlatform))];
  const shown = names.length === 0 ? 'nothing' : quote(names.slice(0, 40).join(', ')).slice(1, -1);
  return new ImageError('PLATFORM_NOT_FOUND', `no image for ${formatPlatform(wanted)} in ${where}: it has ${shown}`, {
    path: where,
  });
};
