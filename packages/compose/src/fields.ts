import { errorAt } from './node.ts';
import type { ComposeNode, MapNode } from './node.ts';
import { nearest } from './spelling.ts';
import { parseDurationMs, parseSizeBytes } from './units.ts';

/** Reads one kind of value, or complains with its place. */
export type Read<T> = (node: ComposeNode) => T;

const kindOf = (node: ComposeNode): string => {
  if (node.type !== 'scalar') return node.type === 'map' ? 'a map' : 'a list';
  return node.value === null ? 'nothing' : JSON.stringify(node.value);
};

const want = (node: ComposeNode, what: string): Error =>
  errorAt(node, 'COMPOSE_SCHEMA', `want ${what}, not ${kindOf(node)}`);

export const text: Read<string> = (node) => {
  if (node.type !== 'scalar' || node.value === null) throw want(node, 'a text');
  return String(node.value);
};

/** YAML reads an unquoted `yes` as a text; interpolation makes a text of everything. */
export const boolean: Read<boolean> = (node) => {
  const value = node.type === 'scalar' ? String(node.value).toLowerCase() : '';
  if (value === 'true' || value === 'yes' || value === 'on') return true;
  if (value === 'false' || value === 'no' || value === 'off') return false;
  throw want(node, 'true or false');
};

export const number: Read<number> = (node) => {
  const value = node.type === 'scalar' && node.value !== null && node.value !== '' ? Number(node.value) : Number.NaN;
  if (!Number.isFinite(value)) throw want(node, 'a number');
  return value;
};

export const count: Read<number> = (node) => {
  const value = number(node);
  if (!Number.isSafeInteger(value) || value < 0) throw want(node, 'a count');
  return value;
};

/** A whole number that may be -1 for "no limit". */
export const limit: Read<number> = (node) => {
  const value = number(node);
  if (!Number.isSafeInteger(value) || value < -1) throw want(node, 'a count, or -1');
  return value;
};

export const sizeBytes: Read<number> = (node) => {
  const bytes = parseSizeBytes(text(node));
  if (bytes === undefined) throw want(node, 'a size like 64m');
  return bytes;
};

export const durationMs: Read<number> = (node) => {
  const duration = parseDurationMs(text(node));
  if (duration === undefined) throw want(node, 'a duration like 1m30s');
  return duration;
};

export const oneOf =
  <T extends string>(...allowed: readonly T[]): Read<T> =>
  (node) => {
    const value = text(node);
    const found = allowed.find((word) => word === value);
    if (found === undefined) throw want(node, allowed.join(' or '));
    return found;
  };

export const listOf =
  <T>(read: Read<T>): Read<readonly T[]> =>
  (node) => {
    if (node.type !== 'list') throw want(node, 'a list');
    return node.items.map((item) => read(item));
  };

/** One text, or a list of them. */
export const textOrList: Read<readonly string[]> = (node) => (node.type === 'list' ? listOf(text)(node) : [text(node)]);

export const mapOf =
  <T>(read: (node: ComposeNode, name: string) => T): Read<ReadonlyMap<string, T>> =>
  (node) => {
    if (node.type === 'scalar' && node.value === null) return new Map();
    if (node.type !== 'map') throw want(node, 'a map');
    return new Map([...node.entries].map(([name, value]) => [name, read(value, name)]));
  };

/** `KEY: value`, or a list of `KEY=value`; a key without a value is undefined. */
export const assignments: Read<ReadonlyMap<string, string | undefined>> = (node) => {
  if (node.type !== 'list') {
    return mapOf((value) => (value.type === 'scalar' && value.value === null ? undefined : text(value)))(node);
  }
  return new Map(
    listOf(text)(node).map((item) => {
      const equals = item.indexOf('=');
      return equals < 0 ? [item, undefined] : [item.slice(0, equals), item.slice(equals + 1)];
    }),
  );
};

/** The same, where a key without a value means an empty one. */
export const labels: Read<ReadonlyMap<string, string>> = (node) =>
  new Map([...assignments(node)].map(([name, value]) => [name, value ?? '']));

/** The members of a map, taken one by one. */
export interface Fields {
  readonly node: MapNode;
  readonly has: (name: string) => boolean;
  readonly get: <T>(name: string, read: Read<T>) => T | undefined;
}

/** The names that a map of the Compose file may have. */
export interface KnownFields {
  readonly read: readonly string[];
  /** In the specification, but not done here: refused, because an option that is silently ignored is a trap. */
  readonly refused?: readonly string[] | undefined;
}

/**
 * Opens a map, and refuses the members that it can't have. `x-…` is for others.
 *
 * @throws {@link ComposeError} `COMPOSE_SCHEMA`, `COMPOSE_UNSUPPORTED`
 */
export function fieldsOf(node: ComposeNode, known: KnownFields): Fields {
  if (node.type !== 'map') throw want(node, 'a map');
  for (const [name, value] of node.entries) {
    if (name.startsWith('x-') || known.read.includes(name)) continue;
    if (known.refused?.includes(name) === true) {
      throw errorAt(value, 'COMPOSE_UNSUPPORTED', `${name} is not supported yet`);
    }
    const close = nearest(name, [...known.read, ...(known.refused ?? [])]);
    const hint = close === undefined ? '' : `, did you mean ${close}?`;
    throw errorAt(value, 'COMPOSE_SCHEMA', `unknown key ${name}${hint}`);
  }
  const present = (name: string): ComposeNode | undefined => {
    const value = node.entries.get(name);
    return value === undefined || (value.type === 'scalar' && value.value === null) ? undefined : value;
  };
  return {
    node,
    has: (name) => present(name) !== undefined,
    get: (name, read) => {
      const value = present(name);
      return value === undefined ? undefined : read(value);
    },
  };
}
