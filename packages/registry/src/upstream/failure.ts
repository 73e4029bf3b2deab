import { isImageError } from '@tsc/image';
import type { ImageError, ImageErrorCode } from '@tsc/image';

import { isRegistryError, RegistryError } from '../errors.ts';

const codeOf = (error: unknown): ImageErrorCode | undefined => (isImageError(error) ? error.code : undefined);

export const isNotFound = (error: unknown): boolean => codeOf(error) === 'REGISTRY_NOT_FOUND';

/** What upstream says about us or the name, and would say again. */
const REFUSALS: ReadonlySet<unknown> = new Set<ImageErrorCode>([
  'REGISTRY_NOT_FOUND',
  'REGISTRY_UNAUTHORIZED',
  'REGISTRY_REFUSED',
  'REFERENCE_INVALID',
]);

/** Whether upstream couldn't answer, or not with anything that makes sense: what we have is the best there is. */
export const isNoAnswer = (error: unknown): boolean => !isRegistryError(error) && !REFUSALS.has(codeOf(error));

const UNREACHABLE: ReadonlySet<unknown> = new Set<ImageErrorCode>([
  'REGISTRY_UNREACHABLE',
  'REGISTRY_FAILED',
  'REGISTRY_THROTTLED',
]);

export const isTimeout = (error: unknown): boolean => Error.isError(error) && error.name === 'TimeoutError';

/** Whether upstream had better be left alone for a while. */
export const isAway = (error: unknown): boolean => UNREACHABLE.has(codeOf(error)) || isTimeout(error);

/** Whether upstream has sent other bytes than a digest names, or another number of them. */
export const isMismatch = (error: unknown): boolean => codeOf(error) === 'CONTENT_MISMATCH';

export const calledUpstream = (prefix: string): string =>
  prefix === '' ? 'the upstream registry' : `the upstream of ${prefix}`;

/**
 * What a client is told when upstream can't or won't help. The words of upstream stay here: they name other hosts. What isn't
 * upstream's failure but our own stays as it is.
 */
export function refusalOf(cause: unknown, prefix: string): Error {
  if (isTimeout(cause)) return broken(504, `${calledUpstream(prefix)} did not answer in time`, cause);
  return isImageError(cause) ? refusalByCode(cause, calledUpstream(prefix)) : (cause as Error);
}

const broken = (status: number, what: string, cause: unknown): RegistryError =>
  new RegistryError('UNSUPPORTED', what, { status, cause });

function refusalByCode(cause: ImageError, upstream: string): RegistryError {
  switch (cause.code) {
    case 'REGISTRY_NOT_FOUND':
      return new RegistryError('NAME_UNKNOWN', `${upstream} has no such repository`, { cause });
    case 'REFERENCE_INVALID':
      return new RegistryError('NAME_INVALID', `${upstream} can have no such name`, { cause });
    case 'REGISTRY_UNAUTHORIZED':
      return new RegistryError('DENIED', `${upstream} lets this cache not pull from there, or has no such repository`, {
        cause,
      });
    case 'REGISTRY_THROTTLED':
      return new RegistryError('TOOMANYREQUESTS', `${upstream} asks this cache to come again later`, { cause });
    case 'CONTENT_MISMATCH':
    case 'DOCUMENT_INVALID':
      return broken(502, `${upstream} has sent what isn't the content`, cause);
    default:
      return broken(502, `${upstream} can't be reached`, cause);
  }
}
