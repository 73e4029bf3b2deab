import type { MountSpec } from '@tsc/engine';

import { badValue, isCliError, notSupported } from '../errors.ts';
import { parseBoolean } from '../flags/flag.ts';
import { parseCsv } from './csv.ts';
import { parseSize } from './size.ts';
import { parseMode, parseTarget } from './tmpfs.ts';
import { absolutePath, PROPAGATIONS, requireVolumeName } from './volume.ts';
import type { Propagation, VolumeSurroundings } from './volume.ts';

const KEYS: Readonly<Record<string, string>> = {
  type: 'type',
  source: 'source',
  src: 'source',
  target: 'target',
  dst: 'target',
  destination: 'target',
  readonly: 'readonly',
  ro: 'readonly',
  'bind-propagation': 'bind-propagation',
  'volume-nocopy': 'volume-nocopy',
  'tmpfs-size': 'tmpfs-size',
  'tmpfs-mode': 'tmpfs-mode',
};
const NOT_YET = new Set([
  'consistency', 'bind-nonrecursive', 'bind-recursive', 'volume-driver', 'volume-opt', 'volume-label',
  'volume-subpath', 'image-subpath', 'idmap',
]); // prettier-ignore
const SWITCHES = new Set(['readonly', 'volume-nocopy']);

/** `--mount type=bind,source=/a,target=/b,readonly`: CSV of keys and values, the type being `volume` unless written. */
export function parseMount(word: string, surroundings: VolumeSurroundings): MountSpec {
  const fields = readFields(word);
  const target = fields.get('target');
  if (target === undefined || target === '') throw badValue('target is required');
  parseTarget(target, word);
  const type = fields.get('type') ?? 'volume';
  const stray = [...fields.keys()].find((key) => /^(bind|volume|tmpfs)-/.test(key) && !key.startsWith(`${type}-`));
  if (stray !== undefined) throw badValue(`cannot mix '${stray}' with mount type '${type}'`);
  const readOnly = fields.get('readonly') === 'true' ? { readOnly: true } : {};
  if (type === 'bind') return bindMount(fields, { target, surroundings, readOnly });
  if (type === 'volume') return volumeMount(fields, { target, readOnly });
  if (type === 'tmpfs') return tmpfsMount(fields, target);
  if (['image', 'npipe', 'cluster'].includes(type)) throw notSupported(`the mount type '${type}'`);
  throw badValue(`mount type unknown: '${type}'`);
}

function readFields(word: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const field of parseCsv(word)) {
    const equals = field.indexOf('=');
    const written = (equals === -1 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals === -1 ? undefined : field.slice(equals + 1);
    if (NOT_YET.has(written)) throw notSupported(`'${written}' in --mount`);
    const key = KEYS[written];
    if (key === undefined) throw badValue(`unexpected key '${written}' in '${field}'`);
    if (SWITCHES.has(key)) fields.set(key, String(value === undefined || readSwitch(written, value)));
    else if (value === undefined) throw badValue(`invalid field '${field}' must be a key=value pair`);
    else fields.set(key, value);
  }
  return fields;
}

function readSwitch(key: string, value: string): boolean {
  try {
    return parseBoolean(value);
  } catch (error) {
    if (isCliError(error)) throw badValue(`invalid value for ${key}: ${value}`);
    throw error;
  }
}

function bindMount(
  fields: ReadonlyMap<string, string>,
  common: { target: string; surroundings: VolumeSurroundings; readOnly: { readOnly?: true } | { readOnly: boolean } },
): MountSpec {
  const source = fields.get('source');
  if (source === undefined || source === '') throw badValue('source is required for a bind mount');
  const propagation = fields.get('bind-propagation');
  if (propagation !== undefined && !PROPAGATIONS.has(propagation)) {
    throw badValue(`invalid propagation mode: ${propagation}`);
  }
  return {
    type: 'bind',
    source: absolutePath(source, common.surroundings),
    target: common.target,
    ...common.readOnly,
    ...(propagation === undefined ? {} : { propagation: propagation as Propagation }),
  };
}

function volumeMount(
  fields: ReadonlyMap<string, string>,
  common: { target: string; readOnly: { readOnly?: boolean } },
): MountSpec {
  const source = fields.get('source');
  if (source !== undefined && source !== '') requireVolumeName(source);
  return {
    type: 'volume',
    ...(source === undefined || source === '' ? {} : { source }),
    target: common.target,
    ...common.readOnly,
    ...(fields.get('volume-nocopy') === 'true' ? { noCopy: true } : {}),
  };
}

function tmpfsMount(fields: ReadonlyMap<string, string>, target: string): MountSpec {
  if (fields.has('source')) throw badValue('a tmpfs mount has no source');
  const size = fields.get('tmpfs-size');
  const mode = fields.get('tmpfs-mode');
  return {
    type: 'tmpfs',
    target,
    ...(size === undefined ? {} : { sizeBytes: parseSize(size) }),
    ...(mode === undefined ? {} : { mode: parseMode(mode) }),
    ...(fields.get('readonly') === 'true' ? { options: ['ro'] } : {}),
  };
}
