import { parseReference } from '@tsc/image';
import type { Reference } from '@tsc/image';

import { badValue } from '../errors.ts';

/** A whole registry, or one repository of it. */
export type Place = { readonly domain: string; readonly repository: Reference | undefined };

/**
 * Reads `HOST` or `HOST/NAME`. A word without a slash is a host when it looks like one, as in a reference: it has a dot or
 * a port, or is `localhost`.
 */
export function readPlace(word: string): Place {
  const bare = word.endsWith('/') ? word.slice(0, -1) : word;
  if (!bare.includes('/')) {
    if (!/[.:]/.test(bare) && bare !== 'localhost') throw badValue(`"${word}" is no registry: want HOST or HOST/NAME`);
    return { domain: parseReference(`${bare}/any`).domain, repository: undefined };
  }
  const reference = parseReference(bare);
  return { domain: reference.domain, repository: reference };
}
