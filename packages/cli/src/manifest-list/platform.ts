import type { Platform } from '@tsc/image';

import { failed } from '../errors.ts';

/** What `manifest annotate` says of a manifest. */
export interface PlatformWords {
  readonly os: string | undefined;
  readonly arch: string | undefined;
  readonly variant: string | undefined;
  readonly osVersion: string | undefined;
  readonly osFeatures: readonly string[];
}

/** The systems that Go knows, with their architectures: what a list may be for. @see https://go.dev/doc/install/source */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  darwin: ['386', 'amd64', 'arm', 'arm64'],
  dragonfly: ['amd64'],
  freebsd: ['386', 'amd64', 'arm', 'arm64', 'riscv64'],
  linux: '386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x'.split(' '),
  netbsd: ['386', 'amd64', 'arm', 'arm64'],
  openbsd: ['386', 'amd64', 'arm', 'arm64', 'ppc64', 'riscv64'],
  plan9: ['386', 'amd64', 'arm'],
  solaris: ['amd64'],
  windows: ['386', 'amd64', 'arm', 'arm64'],
};

/** The platform with what was said of it. @throws CliError `CLI_FAILED`: there is no such machine */
export function annotatePlatform(platform: Platform | undefined, words: PlatformWords): Platform {
  const os = words.os ?? platform?.os ?? '';
  const architecture = words.arch ?? platform?.architecture ?? '';
  if (!Object.hasOwn(ARCHITECTURES, os) || ARCHITECTURES[os]?.includes(architecture) !== true) {
    throw failed(`manifest entry for image has unsupported os/arch combination: ${os}/${architecture}`);
  }
  const features = [...new Set([...(platform?.['os.features'] ?? []), ...words.osFeatures])];
  const variant = words.variant ?? platform?.variant;
  const version = words.osVersion ?? platform?.['os.version'];
  return {
    architecture,
    os,
    ...(version === undefined ? {} : { 'os.version': version }),
    ...(features.length === 0 ? {} : { 'os.features': features }),
    ...(variant === undefined ? {} : { variant }),
  };
}
