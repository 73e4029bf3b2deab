import { formatFamiliarReference, formatReference, isImageError, parsePlatform, parseReference } from '@tsc/image';
import type { Platform, Reference } from '@tsc/image';

import { badValue, CliError } from '../errors.ts';

/** An image's name as somebody wrote it. */
export interface WrittenReference {
  readonly reference: Reference;
  /** `debian:12` */
  readonly familiar: string;
  /** `docker.io/library/debian:12` */
  readonly full: string;
  /** Neither tag nor digest was written, so that the tag is implied. */
  readonly nameOnly: boolean;
}

/** @throws {@link ImageError} `REFERENCE_INVALID` */
export function readReference(word: string): WrittenReference {
  const reference = parseReference(word);
  return {
    reference,
    familiar: formatFamiliarReference(reference),
    full: formatReference(reference),
    nameOnly: !/[:@][^/]*$/.test(word),
  };
}

/** For `--all-tags`, which takes a repository. */
export function refuseTag({ nameOnly }: WrittenReference): void {
  if (!nameOnly) throw new CliError('CLI_FAILED', "tag can't be used with --all-tags/-a", { exitCode: 1 });
}

/** Reads `--platform` before anything is done. */
export function readPlatform(word: string | undefined): Platform | undefined {
  if (word === undefined || word === '') return undefined;
  try {
    return parsePlatform(word);
  } catch (error) {
    if (!isImageError(error)) throw error;
    throw badValue(error.message);
  }
}
