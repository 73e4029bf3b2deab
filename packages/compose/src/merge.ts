import type { ComposeNode, ListNode, MapNode } from './node.ts';

/**
 * Merges a Compose file over the one before it. Maps merge key by key, lists append, plain values are replaced; commands and
 * health tests are replaced whole; what names one resource twice (a port, a mount target, a secret) is taken from the later
 * file. `!reset` takes a value away, `!override` replaces one that would have merged.
 *
 * @see https://docs.docker.com/reference/compose-file/merge/
 */
export const mergeFiles = (base: ComposeNode, over: ComposeNode): ComposeNode => merge(base, over, []) ?? over;

/** Takes away what is marked `!reset`, which has nothing left to reset in a file of its own. */
export function dropResets(node: ComposeNode): ComposeNode | undefined {
  if (node.merge === 'reset') return undefined;
  if (node.type === 'list') return { ...node, items: node.items.map(dropResets).filter((item) => item !== undefined) };
  if (node.type !== 'map') return node;
  const entries = new Map<string, ComposeNode>();
  for (const [key, value] of node.entries) {
    const kept = dropResets(value);
    if (kept !== undefined) entries.set(key, kept);
  }
  return { ...node, entries };
}

/** Where in the file: `['services', '*', 'command']`; the names of services and the like are stars. */
type Place = readonly string[];

const REPLACED = new Set(['services.*.command', 'services.*.entrypoint', 'services.*.healthcheck.test']);

/** Written as a list of `key=value` or as a map. */
const KEYED = new Map([
  ['services.*.environment', '='],
  ['services.*.labels', '='],
  ['services.*.annotations', '='],
  ['services.*.sysctls', '='],
  ['services.*.build.args', '='],
  ['services.*.build.labels', '='],
  ['services.*.depends_on', ''],
  ['services.*.networks', ''],
]);

function merge(base: ComposeNode, over: ComposeNode, place: Place): ComposeNode | undefined {
  if (over.merge === 'reset') return undefined;
  const name = place.join('.');
  if (over.merge === 'override' || REPLACED.has(name)) return over;
  const separator = KEYED.get(name);
  if (separator !== undefined) return mergeMaps(asMap(base, separator), asMap(over, separator), place);
  if (base.type === 'map' && over.type === 'map') return mergeMaps(base, over, place);
  if (base.type === 'list' && over.type === 'list') return mergeLists(base, over, name);
  return over.type === 'scalar' && over.value === null ? base : over;
}

function mergeMaps(base: ComposeNode, over: ComposeNode, place: Place): ComposeNode {
  if (base.type !== 'map' || over.type !== 'map') return over;
  const entries = new Map(base.entries);
  for (const [key, value] of over.entries) {
    const before = entries.get(key);
    const named = place.length === 1 && place[0] !== undefined;
    const merged = before === undefined ? dropResets(value) : merge(before, value, [...place, named ? '*' : key]);
    if (merged === undefined) entries.delete(key);
    else entries.set(key, merged);
  }
  return { ...over, entries };
}

function mergeLists(base: ListNode, over: ListNode, name: string): ListNode {
  const identify = IDENTITIES.get(name);
  if (identify === undefined) return { ...over, items: [...base.items, ...over.items] };
  const items = new Map<string, ComposeNode>();
  for (const item of [...base.items, ...over.items]) items.set(identify(item), item);
  return { ...over, items: [...items.values()] };
}

function asMap(node: ComposeNode, separator: string): ComposeNode {
  if (node.type !== 'list') return node;
  const entries = new Map<string, ComposeNode>();
  for (const item of node.items) {
    if (item.type !== 'scalar') return node;
    const text = String(item.value ?? '');
    const at = separator === '' ? -1 : text.indexOf(separator);
    entries.set(at < 0 ? text : text.slice(0, at), { ...item, value: at < 0 ? null : text.slice(at + 1) });
  }
  return { ...node, type: 'map', entries } satisfies MapNode;
}

const scalarText = (node: ComposeNode): string => (node.type === 'scalar' ? String(node.value ?? '') : node.path);

const IDENTITIES: ReadonlyMap<string, (node: ComposeNode) => string> = new Map([
  ['services.*.volumes', (node) => field(node, 'target') ?? shortTarget(scalarText(node))],
  ['services.*.secrets', (node) => field(node, 'target') ?? field(node, 'source') ?? scalarText(node)],
  ['services.*.configs', (node) => field(node, 'target') ?? field(node, 'source') ?? scalarText(node)],
  ['services.*.devices', (node) => shortTarget(scalarText(node))],
  ['services.*.ports', portIdentity],
  ['services.*.expose', scalarText],
  ['services.*.profiles', scalarText],
]);

function portIdentity(node: ComposeNode): string {
  if (node.type !== 'map') return scalarText(node);
  const address = field(node, 'host_ip');
  const text = [address, field(node, 'published'), field(node, 'target')]
    .filter((part) => part !== undefined)
    .join(':');
  const protocol = field(node, 'protocol') ?? 'tcp';
  return protocol === 'tcp' ? text : `${text}/${protocol}`;
}

function field(node: ComposeNode, name: string): string | undefined {
  const value = node.type === 'map' ? node.entries.get(name) : undefined;
  return value?.type === 'scalar' && value.value !== null ? String(value.value) : undefined;
}

/** The target of `source:target[:options]`. */
function shortTarget(text: string): string {
  const [first = '', second] = text.split(':');
  return second ?? first;
}
