import type { JWTPayload, JWTVerifyGetKey, JWTVerifyOptions, KeyObject } from 'jose';

/** Longer ones aren't looked at. */
export const TOKEN_MAX_LENGTH = 12 * 1024;

/** A key, certificate or place of one that comes with a token is the attacker's. */
const KEYS_IN_HEADERS = ['jwk', 'jku', 'x5c', 'x5u'] as const;

export const UNKNOWN_KEY = 'the token is signed with an unknown key';

/** Why a token is no good; told to its sender. */
export interface Refused {
  readonly refused: string;
}

export interface VerifyOptions extends JWTVerifyOptions {
  readonly issuer: string;
  readonly audience: string;
  /** Those that the key is for, and no others. */
  readonly algorithms: string[];
}

type Key = KeyObject | JWTVerifyGetKey;

/**
 * Verifies a token with our own key or keys: signature, algorithm, issuer, audience, `exp` (which must be there) and `nbf`.
 *
 * @returns its claims, or why not
 * @throws what `key` throws, if it is a function: the keys can't be had
 */
export async function verifyJwt(token: string, key: Key, options: VerifyOptions): Promise<JWTPayload | Refused> {
  if (token.length > TOKEN_MAX_LENGTH) return { refused: 'the token is too long' };
  const { decodeProtectedHeader, jwtVerify } = await import('jose');
  const header = headerOf(() => decodeProtectedHeader(token));
  if (header === undefined) return { refused: 'the token is malformed' };
  const brought = KEYS_IN_HEADERS.find((name) => Object.hasOwn(header, name));
  if (brought !== undefined) return { refused: `a token with ${brought} in its header is not accepted` };
  try {
    const required = { ...options, requiredClaims: ['exp', ...(options.requiredClaims ?? [])] };
    const { payload } = await (typeof key === 'function'
      ? jwtVerify(token, key, required)
      : jwtVerify(token, key, required));
    return payload;
  } catch (error) {
    const why = whyOf(error);
    if (why === undefined) throw error;
    return { refused: why };
  }
}

function headerOf(decode: () => object): object | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

const WHY: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'the token has expired',
  ERR_JOSE_ALG_NOT_ALLOWED: "the token's algorithm is not accepted",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "the token's signature is wrong",
  ERR_JWKS_NO_MATCHING_KEY: UNKNOWN_KEY,
};

/** undefined: it isn't the token's fault */
function whyOf(error: unknown): string | undefined {
  const { code = '', claim } = error as { readonly code?: string; readonly claim?: string };
  if (code === 'ERR_JWT_CLAIM_VALIDATION_FAILED') return `the token's claim ${claim ?? ''} is not what it must be`;
  return WHY[code] ?? (/^ERR_(JOSE|JWT|JWS|JWK)/.test(code) ? 'the token is malformed' : undefined);
}

/** Who a token says that it is from, which is nothing to rely on. */
export function claimedIssuer(token: string): string | undefined {
  if (token.length > TOKEN_MAX_LENGTH) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const { iss } = claims as { readonly iss: unknown };
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a text looks like a token, and nothing like a password. */
export const looksLikeJwt = (text: string): boolean => /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(text);
