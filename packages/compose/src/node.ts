import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import type { Alias, Node as YamlNode, Pair } from 'yaml';
import { ComposeError } from './errors.ts';

/** A value of a Compose file with its place. Maps are `Map`s: a key may be called `__proto__`. */
export type ComposeNode = ScalarNode | ListNode | MapNode;

interface NodeBase {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** Where in the document: `services.web.ports[0]`. */
  readonly path: string;
  /** `!reset` takes an earlier file's value away, `!override` replaces it instead of merging. */
  readonly merge?: 'reset' | 'override' | undefined;
}

export interface ScalarNode extends NodeBase {
  readonly type: 'scalar';
  readonly value: string | number | boolean | null;
  /** As written, without quotes: `0440`, where the value is a number. */
  readonly source: string;
}

export interface ListNode extends NodeBase {
  readonly type: 'list';
  readonly items: readonly ComposeNode[];
}

export interface MapNode extends NodeBase {
  readonly type: 'map';
  readonly entries: ReadonlyMap<string, ComposeNode>;
}

const MAX_CHARACTERS = 4 * 1024 * 1024;
const MAX_DEPTH = 60;
/** Nodes after all aliases are followed: where a billion laughs end. */
const MAX_NODES = 100_000;

/** The error for a place. */
export const errorAt = (node: NodeBase, code: ComposeError['code'], what: string): ComposeError =>
  new ComposeError(code, `${node.file}:${String(node.line)}: ${node.path === '' ? '' : `${node.path}: `}${what}`, {
    file: node.file,
    line: node.line,
  });

/**
 * Reads YAML into nodes.
 *
 * @throws {@link ComposeError} `COMPOSE_YAML`: not YAML, a key twice, an unknown tag; `COMPOSE_LIMIT`: too large, too deep,
 *   or aliases that multiply
 */
export function parseYaml(text: string, file: string): ComposeNode {
  if (text.length > MAX_CHARACTERS) {
    throw new ComposeError('COMPOSE_LIMIT', `${file}: over ${String(MAX_CHARACTERS)} characters`, { file });
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true, customTags });
  const document = 'empty' in documents ? undefined : documents[0];
  if (document === undefined) return { type: 'map', file, line: 1, path: '', entries: new Map() };
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const { line } = lines.linePos(problem.pos[0]);
    throw new ComposeError('COMPOSE_YAML', `${file}:${String(line)}: ${problem.message}`, {
      file,
      line,
      cause: problem,
    });
  }
  if ('length' in documents && documents.length > 1) {
    throw new ComposeError('COMPOSE_YAML', `${file}: more than one YAML document`, { file });
  }
  const walk: Walk = { file, lines, anchors: new Map(), seen: new Set(), open: new Set(), nodes: 0 };
  return document.contents === null
    ? { type: 'map', file, line: 1, path: '', entries: new Map() }
    : read(walk, document.contents, { path: '', depth: 0 });
}

/** Compose's own tags; the library only has to know that they are no mistake. */
const MERGE_TAGS = ['!reset', '!override'] as const;
const customTags = MERGE_TAGS.flatMap((tag) => [
  { tag, resolve: (text: string) => text },
  { tag, collection: 'map' as const },
  { tag, collection: 'seq' as const },
]);

interface Walk {
  readonly file: string;
  readonly lines: LineCounter;
  /** By name, the last one above; the library's own look-up walks the whole document each time. */
  readonly anchors: Map<string, YamlNode>;
  readonly seen: Set<YamlNode>;
  /** The anchors that are being read: an alias to one of them would never end. */
  readonly open: Set<YamlNode>;
  nodes: number;
}

interface Position {
  readonly path: string;
  readonly depth: number;
}

function read(walk: Walk, node: YamlNode, position: Position): ComposeNode {
  walk.nodes += 1;
  const line = walk.lines.linePos(node.range?.[0] ?? 0).line;
  const base = { file: walk.file, line: Math.max(1, line), path: position.path, ...mergeTag(node) };
  if (walk.nodes > MAX_NODES)
    throw errorAt(base, 'COMPOSE_LIMIT', `over ${String(MAX_NODES)} values, aliases followed`);
  if (position.depth > MAX_DEPTH) throw errorAt(base, 'COMPOSE_LIMIT', `nested over ${String(MAX_DEPTH)} deep`);
  if (isAlias(node)) return readAlias(walk, node, { position, base });
  noteAnchor(walk, node);
  if (isScalar(node))
    return { ...base, type: 'scalar', value: scalarValue(node.value, base), source: node.source ?? '' };
  walk.open.add(node);
  const below = { position, base };
  const result = isMap(node) ? readMap(walk, node.items, below) : readList(walk, isSeq(node) ? node.items : [], below);
  walk.open.delete(node);
  return result;
}

/** A node that is read again through an alias defines nothing anew. */
function noteAnchor({ anchors, seen }: Walk, node: YamlNode): void {
  if (seen.has(node)) return;
  seen.add(node);
  const anchor = 'anchor' in node ? node.anchor : undefined;
  if (anchor !== undefined) anchors.set(anchor, node);
}

interface Below {
  readonly position: Position;
  readonly base: NodeBase;
}

const mergeTag = (node: YamlNode): Pick<NodeBase, 'merge'> => {
  const tag = 'tag' in node ? node.tag : undefined;
  if (tag === '!reset') return { merge: 'reset' };
  return tag === '!override' ? { merge: 'override' } : {};
};

function scalarValue(value: unknown, base: NodeBase): ScalarNode['value'] {
  if (typeof value === 'bigint') return value.toString();
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  throw errorAt(base, 'COMPOSE_YAML', 'a value of an unknown kind');
}

function readAlias(walk: Walk, alias: Alias, { position, base }: Below): ComposeNode {
  const target = walk.anchors.get(alias.source);
  if (target === undefined) throw errorAt(base, 'COMPOSE_YAML', `no anchor &${alias.source} above`);
  if (walk.open.has(target)) throw errorAt(base, 'COMPOSE_LIMIT', `the alias *${alias.source} contains itself`);
  return read(walk, target, { path: position.path, depth: position.depth + 1 });
}

function readList(walk: Walk, items: readonly unknown[], { position, base }: Below): ListNode {
  const nodes = items.map((item, index) =>
    read(walk, item as YamlNode, { path: `${position.path}[${String(index)}]`, depth: position.depth + 1 }),
  );
  return { ...base, type: 'list', items: nodes };
}

/** `<<: *base` brings in what the map doesn't have itself; of several, the first wins. */
function readMap(walk: Walk, items: readonly Pair[], { position, base }: Below): MapNode {
  const own = new Map<string, ComposeNode>();
  const merged = new Map<string, ComposeNode>();
  for (const { key, value } of items) {
    const name = keyName(key, base);
    const path = position.path === '' ? name : `${position.path}.${name}`;
    const below = name === '<<' ? position.path : path;
    const child =
      value === null
        ? ({ ...base, merge: undefined, path, type: 'scalar', value: null, source: '' } satisfies ScalarNode)
        : read(walk, value as YamlNode, { path: below, depth: position.depth + 1 });
    if (name === '<<') mergeIn(merged, child);
    else own.set(name, child);
  }
  return { ...base, type: 'map', entries: merged.size === 0 ? own : new Map([...merged, ...own]) };
}

function mergeIn(merged: Map<string, ComposeNode>, node: ComposeNode): void {
  if (node.type === 'list') for (const item of node.items) mergeIn(merged, item);
  else if (node.type === 'map') {
    for (const [name, value] of node.entries) if (!merged.has(name)) merged.set(name, value);
  } else throw errorAt(node, 'COMPOSE_YAML', '<< takes a map, or a list of maps');
}

function keyName(key: unknown, base: NodeBase): string {
  if (isScalar(key)) {
    const { value } = key;
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    // With merge keys on, the library reads the key `<<` as a symbol.
    if (typeof value === 'symbol') return '<<';
  }
  throw errorAt(base, 'COMPOSE_YAML', 'a key must be a plain word');
}
