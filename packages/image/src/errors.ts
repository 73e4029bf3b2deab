/** What went wrong, one code per thing that a caller could do differently. The README lists them. */
export type ImageErrorCode =
  | 'REFERENCE_INVALID'
  | 'DIGEST_INVALID'
  | 'DOCUMENT_INVALID'
  | 'CHANGE_INVALID'
  | 'IMAGE_NOT_FOUND'
  | 'IMAGE_AMBIGUOUS'
  | 'IMAGE_CONFLICT'
  | 'IMAGE_INVALID'
  | 'CONTENT_MISMATCH'
  | 'COMPRESSION_UNSUPPORTED'
  | 'LAYER_INVALID'
  | 'LAYER_UNSAFE'
  | 'LAYER_LIMIT'
  | 'LAYER_FAILED'
  | 'ARCHIVE_INVALID'
  | 'ARCHIVE_CONFLICT'
  | 'NEEDS_ROOT'
  | 'STORE_INVALID'
  | 'LAYOUT_INVALID'
  | 'PLATFORM_INVALID'
  | 'PLATFORM_NOT_FOUND'
  | 'REGISTRY_CONFIG_INVALID'
  | 'REGISTRY_UNREACHABLE'
  | 'REGISTRY_UNAUTHORIZED'
  | 'REGISTRY_NOT_FOUND'
  | 'REGISTRY_REFUSED'
  | 'REGISTRY_THROTTLED'
  | 'REGISTRY_FAILED'
  | 'CREDENTIALS_FAILED';

export interface ImageErrorDetails {
  readonly path?: string | undefined;
  readonly errno?: string | undefined;
  readonly cause?: unknown;
}

export class ImageError extends Error {
  override readonly name = 'ImageError';
  /** Stable, listed in the README, and what callers branch on. */
  readonly code: ImageErrorCode;
  /** The file, archive entry or reference that it is about. */
  readonly path: string | undefined;
  /** The kernel's word, where the kernel refused: `'ENOSPC'`. */
  readonly errno: string | undefined;

  constructor(code: ImageErrorCode, message: string, details: ImageErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.errno = details.errno;
  }
}

export const isImageError = (error: unknown): error is ImageError =>
  Error.isError(error) && error.name === 'ImageError';

/** Quotes what an outsider wrote for a message: one line, no control characters, not endless. */
export const quote = (text: string): string => {
  const shown = JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
  return shown.replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
};
