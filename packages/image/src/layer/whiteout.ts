import { ImageError, quote } from '../errors.ts';

/**
 * What a name in a layer says about the layers below.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
 */
export type LayerName =
  | { readonly type: 'plain' }
  | { readonly type: 'whiteout'; readonly name: string }
  | { readonly type: 'opaque' }
  /** aufs bookkeeping of old Docker versions, in which nothing belongs to the image. */
  | { readonly type: 'bookkeeping' };

export const WHITEOUT_PREFIX: string = '.wh.';
export const OPAQUE_NAME: string = '.wh..wh..opq';
const BOOKKEEPING_PREFIX = '.wh..wh.';

/** @throws {@link ImageError} `LAYER_UNSAFE`: a whiteout of nothing, of `.` or `..`, or something below a whiteout */
export const classifyName = (parts: readonly string[]): LayerName => {
  const marked = parts.findIndex((part) => part.startsWith(WHITEOUT_PREFIX));
  if (marked < 0) return { type: 'plain' };
  const part = parts[marked] as string;
  const isLast = marked === parts.length - 1;
  if (part === OPAQUE_NAME && isLast) return { type: 'opaque' };
  if (part.startsWith(BOOKKEEPING_PREFIX)) return { type: 'bookkeeping' };
  const name = part.slice(WHITEOUT_PREFIX.length);
  if (!isLast || name === '' || name === '.' || name === '..') {
    throw new ImageError('LAYER_UNSAFE', `refused ${quote(parts.join('/'))}: a whiteout must name something`, {
      path: parts.join('/'),
    });
  }
  return { type: 'whiteout', name };
};
