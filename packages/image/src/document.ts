import { isDigest, type Digest } from './digest.ts';
import { ImageError, quote } from './errors.ts';

/** Manifests and configs of real images are a few kilobytes; registries refuse manifests over 4 MiB. */
export const DOCUMENT_MAX_BYTES: number = 4 * 1024 ** 2;
const DEPTH_MAX = 32;

const invalid = (where: string, why: string, cause?: unknown): ImageError =>
  new ImageError('DOCUMENT_INVALID', `invalid ${where}: ${why}`, { path: where, cause });

/** Nesting is bounded before parsing, so that hostile brackets cost no stack. */
const depthOf = (bytes: Uint8Array): number => {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (inString) {
      if (byte === 0x5c) at += 1;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) deepest = Math.max(deepest, (depth += 1));
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return deepest;
};

/** A parsed value and where it stands, so that every complaint names its place. */
export interface Node {
  readonly value: unknown;
  readonly where: string;
}

/**
 * Parses JSON that an outsider wrote. Fields are then taken out one by one with the readers below, which see own
 * properties only: `__proto__` and `constructor` are names like any other.
 *
 * @throws {@link ImageError} `DOCUMENT_INVALID`
 */
export const parseDocument = (bytes: Uint8Array, where: string, maxBytes: number = DOCUMENT_MAX_BYTES): Node => {
  if (bytes.length > maxBytes) throw invalid(where, `larger than ${String(maxBytes)} bytes`);
  if (depthOf(bytes) > DEPTH_MAX) throw invalid(where, `nested deeper than ${String(DEPTH_MAX)} levels`);
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown, where };
  } catch (error) {
    throw invalid(where, 'not JSON in UTF-8', error);
  }
};

const asObject = ({ value, where }: Node): Readonly<Record<string, unknown>> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(where, 'want an object');
  return value as Readonly<Record<string, unknown>>;
};

/** A member; `undefined` where it is absent or null, which Go writes for an empty slice or map. */
export const member = (node: Node, key: string): Node | undefined => {
  const object = asObject(node);
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  return value === undefined || value === null ? undefined : { value, where: `${node.where}: ${key}` };
};

export const requiredMember = (node: Node, key: string): Node => {
  const found = member(node, key);
  if (found === undefined) throw invalid(node.where, `${key} is missing`);
  return found;
};

export const asString = ({ value, where }: Node): string => {
  if (typeof value !== 'string') throw invalid(where, 'want a string');
  return value;
};

export const asInteger = ({ value, where }: Node): number => {
  if (!Number.isSafeInteger(value)) throw invalid(where, 'want a whole number');
  return value as number;
};

export const asBoolean = ({ value, where }: Node): boolean => {
  if (typeof value !== 'boolean') throw invalid(where, 'want true or false');
  return value;
};

/** The version of manifests and indexes that this package reads; version 1 is long gone from every registry. */
export const asSchemaVersion = (node: Node): 2 => {
  if (node.value !== 2) throw invalid(node.where, 'want 2');
  return 2;
};

export const asDigest = (node: Node): Digest => {
  const text = asString(node);
  if (!isDigest(text)) throw invalid(node.where, `${quote(text)} is no sha256 digest`);
  return text;
};

export const asSize = (node: Node): number => {
  const size = asInteger(node);
  if (size < 0) throw invalid(node.where, 'a size cannot be negative');
  return size;
};

export const asList = <T>(node: Node, item: (node: Node) => T): readonly T[] => {
  if (!Array.isArray(node.value)) throw invalid(node.where, 'want a list');
  return node.value.map((value: unknown, index) => item({ value, where: `${node.where}[${String(index)}]` }));
};

export const asRecord = <T>(node: Node, item: (node: Node) => T): Readonly<Record<string, T>> =>
  Object.fromEntries(
    Object.entries(asObject(node)).map(([key, value]) => [key, item({ value, where: `${node.where}: ${quote(key)}` })]),
  );

/** Reads an optional member: `optional(node, 'User', asString)`. */
export const optional = <T>(node: Node, key: string, read: (node: Node) => T): T | undefined => {
  const found = member(node, key);
  return found === undefined ? undefined : read(found);
};

/** The object without its absent members, as `exactOptionalPropertyTypes` wants it. */
export const compact = <T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
