import { boolean, count, fieldsOf, oneOf, text } from './fields.ts';
import type { Read } from './fields.ts';
import type { FileGrant, Port, VolumeMount } from './model.ts';
import { errorAt } from './node.ts';
import type { ComposeNode } from './node.ts';

const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;
const MAX_PORT = 65_535;
/** More ports than this in one range is a mistake. */
const MAX_RANGE = 4096;

interface Range {
  readonly first: number;
  readonly last: number;
}

function parseRange(part: string): Range | undefined {
  const [low = '', high = low, ...more] = part.split('-');
  const [first, last] = [low, high].map((digits) => (/^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN));
  if (first === undefined || last === undefined || more.length > 0) return undefined;
  return first >= 0 && first <= last && last <= MAX_PORT && last - first < MAX_RANGE ? { first, last } : undefined;
}

/** `[[address:]published:]target[/protocol]`, with ranges; or the long form. One range makes many ports. */
export const ports: Read<readonly Port[]> = (node) => {
  if (node.type !== 'list') throw errorAt(node, 'COMPOSE_SCHEMA', 'want a list of ports');
  return node.items.flatMap((item) => (item.type === 'map' ? [longPort(item)] : shortPorts(item)));
};

function longPort(node: ComposeNode): Port {
  const fields = fieldsOf(node, {
    read: ['target', 'published', 'host_ip', 'protocol', 'name'],
    refused: ['mode', 'app_protocol'],
  });
  const target = fields.get('target', count);
  if (target === undefined || target < 1 || target > MAX_PORT)
    throw errorAt(node, 'COMPOSE_SCHEMA', 'target is a port from 1 to 65535');
  const published = fields.get('published', text);
  if (published !== undefined && parseRange(published) === undefined) {
    throw errorAt(node, 'COMPOSE_SCHEMA', `published is a port or a range, not ${published}`);
  }
  return {
    target,
    published,
    hostAddress: fields.get('host_ip', text),
    protocol: fields.get('protocol', oneOf(...PROTOCOLS)) ?? 'tcp',
  };
}

function shortPorts(node: ComposeNode): readonly Port[] {
  const written = text(node);
  const bad = (why: string): Error => errorAt(node, 'COMPOSE_SCHEMA', `${written} is no port: ${why}`);
  const [address, protocolText = 'tcp', ...more] = written.split('/');
  const protocol = PROTOCOLS.find((name) => name === protocolText);
  if (address === undefined || protocol === undefined || more.length > 0) throw bad('the protocol is tcp, udp or sctp');
  const { host, published, target } = splitPort(address);
  const targets = parseRange(target);
  const outside = published === '' ? undefined : parseRange(published);
  if (targets === undefined || targets.first === 0) throw bad('write [address:][published:]target');
  if (published !== '' && outside === undefined) throw bad('write [address:][published:]target');
  const size = targets.last - targets.first;
  if (outside !== undefined && size > 0 && outside.last - outside.first !== size)
    throw bad('the ranges differ in length');
  return Array.from({ length: size + 1 }, (_, index) => ({
    target: targets.first + index,
    published: outside === undefined ? undefined : size === 0 ? published : String(outside.first + index),
    hostAddress: host === '' ? undefined : host,
    protocol,
  }));
}

function splitPort(address: string): { readonly host: string; readonly published: string; readonly target: string } {
  const lastColon = address.lastIndexOf(':');
  if (lastColon < 0) return { host: '', published: '', target: address };
  const target = address.slice(lastColon + 1);
  const front = address.slice(0, lastColon);
  const bracket = front.lastIndexOf(']');
  const colon = front.indexOf(':', Math.max(bracket, 0));
  if (colon < 0)
    return bracket < 0 ? { host: '', published: front, target } : { host: bare(front), published: '', target };
  return { host: bare(front.slice(0, colon)), published: front.slice(colon + 1), target };
}

const bare = (host: string): string => (host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host);

/** `[source:]target[:options]`, or the long form. */
export const volumeMount: Read<VolumeMount> = (node) => (node.type === 'map' ? longMount(node) : shortMount(node));

function longMount(node: ComposeNode): VolumeMount {
  const fields = fieldsOf(node, {
    read: ['type', 'source', 'target', 'read_only'],
    refused: ['bind', 'volume', 'tmpfs', 'image', 'consistency'],
  });
  const target = fields.get('target', text);
  if (target === undefined) throw errorAt(node, 'COMPOSE_SCHEMA', 'a mount needs a target');
  const type = fields.get('type', oneOf('bind', 'volume', 'tmpfs')) ?? 'volume';
  const source = fields.get('source', text);
  if (type === 'bind' && source === undefined) throw errorAt(node, 'COMPOSE_SCHEMA', 'a bind mount needs a source');
  return { type, source, target, readOnly: fields.get('read_only', boolean) ?? false };
}

const isPath = (source: string): boolean => source.startsWith('/') || source.startsWith('.') || source.startsWith('~');

function shortMount(node: ComposeNode): VolumeMount {
  const written = text(node);
  const [first = '', second, options = '', ...more] = written.split(':');
  const [source, target] = second === undefined ? [undefined, first] : [first, second];
  if (target === '' || source === '' || more.length > 0) {
    throw errorAt(node, 'COMPOSE_SCHEMA', `${written} is no mount: write [source:]target[:ro]`);
  }
  const flags = options.split(',').filter((flag) => flag !== '' && flag !== 'rw');
  const unknown = flags.find((flag) => flag !== 'ro');
  if (unknown !== undefined)
    throw errorAt(node, 'COMPOSE_UNSUPPORTED', `the mount option ${unknown} is not supported yet`);
  const bind = source !== undefined && isPath(source);
  return { type: bind ? 'bind' : 'volume', source, target, readOnly: flags.includes('ro') };
}

/** A name, or the long form. */
export const fileGrant: Read<FileGrant> = (node) => {
  if (node.type !== 'map')
    return { source: text(node), target: undefined, uid: undefined, gid: undefined, mode: undefined };
  const fields = fieldsOf(node, { read: ['source', 'target', 'uid', 'gid', 'mode'] });
  const source = fields.get('source', text);
  if (source === undefined) throw errorAt(node, 'COMPOSE_SCHEMA', 'source is missing');
  return {
    source,
    target: fields.get('target', text),
    uid: fields.get('uid', text),
    gid: fields.get('gid', text),
    mode: fields.get('mode', fileMode),
  };
};

/** Octal however it is written, `0440`, `"0440"`, `440` or `0o440`: nobody means a decimal number here. */
const fileMode: Read<number> = (node) => {
  const written = node.type === 'scalar' ? node.source : text(node);
  const digits = written.startsWith('0o') ? written.slice(2) : written;
  if (!/^[0-7]{1,5}$/.test(digits) || Number.parseInt(digits, 8) > 0o7777) {
    throw errorAt(node, 'COMPOSE_SCHEMA', `${written} is no file mode, write "0440"`);
  }
  return Number.parseInt(digits, 8);
};
