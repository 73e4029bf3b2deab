/** What came in an `Authorization` header. */
export type Authorization =
  | { readonly type: 'none' }
  | { readonly type: 'basic'; readonly user: string; readonly password: string }
  | { readonly type: 'bearer'; readonly token: string }
  | { readonly type: 'malformed' };

const MALFORMED: Authorization = { type: 'malformed' };

/**
 * Reads an `Authorization` header.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7617#section-2
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 */
export function parseAuthorization(header: string | undefined): Authorization {
  if (header === undefined || header === '') return { type: 'none' };
  const space = header.indexOf(' ');
  const scheme = header.slice(0, Math.max(space, 0)).toLowerCase();
  const value = header.slice(space + 1).trim();
  if (scheme === 'bearer') {
    return /^[A-Za-z0-9._~+/=-]+$/.test(value) ? { type: 'bearer', token: value } : MALFORMED;
  }
  return scheme === 'basic' ? parseBasic(value) : MALFORMED;
}

function parseBasic(value: string): Authorization {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return MALFORMED;
  const bytes = Buffer.from(value, 'base64');
  const text = bytes.toString('utf8');
  const colon = text.indexOf(':');
  // Bytes that aren't UTF-8 would turn into the same letters as others.
  if (colon < 0 || !Buffer.from(text).equals(bytes) || text.includes('\0')) return MALFORMED;
  return { type: 'basic', user: text.slice(0, colon), password: text.slice(colon + 1) };
}
