import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { refuse } from '../option-checks.ts';
import { isRegistryConfigError, RegistryConfigError } from '../errors.ts';
import { checkConfiguration } from './configuration.ts';
import type { RegistryConfiguration } from './configuration.ts';
import { parseBytes, parseTime } from './units.ts';

/** Options that a file has with a unit in the value, and the program with the unit in the name. */
const TIMES = [
  ...[
    'tagTtl',
    'absentTtl',
    'answerTimeout',
    'away',
    'keepWithin',
    'removeUntaggedAfter',
    'every',
    'grace',
    'takeover',
  ],
  ...['timeout', 'retry', 'stallTimeout', 'maxIdle'],
] as const;
const SECONDS = ['lifetime', 'refreshLifetime', 'clockSkew', 'per'] as const;
const SIZES = ['quota', 'manifestMax', 'blobMax', 'part'] as const;

type Reader = (value: unknown, option: string) => readonly [name: string, value: number];

const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ...TIMES.map((name): [string, Reader] => [name, (value, option) => [`${name}Ms`, parseTime(value, option)]]),
  ...SECONDS.map((name): [string, Reader] => [
    name,
    (value, option) => [`${name}Seconds`, Math.round(parseTime(value, option) / 1000)],
  ]),
  ...SIZES.map((name): [string, Reader] => [name, (value, option) => [`${name}Bytes`, parseBytes(value, option)]]),
  ['rate', (value, option) => ['bytesPerSecond', parseBytes(value, option)]],
  ['minRate', (value, option) => ['minBytesPerSecond', parseBytes(value, option)]],
]);

/** Whose keys are chosen by the writer, and no options. */
const MAPS: ReadonlySet<string> = new Set(['groups', 'claims', 'headers']);
/** Secrets that may be in a file of their own. */
const SECRETS: ReadonlySet<string> = new Set([
  'passwordFile',
  'secretFile',
  'identityTokenFile',
  'secretAccessKeyFile',
]);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Gives options the names and values that the program knows them by. */
async function translate(value: unknown, option: string, dir: string): Promise<unknown> {
  if (Array.isArray(value)) {
    return Promise.all(value.map((entry, index) => translate(entry, `${option}[${String(index)}]`, dir)));
  }
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).map(([key, entry]) => translateField(key, entry, { option, dir }));
  return Object.fromEntries(await Promise.all(entries));
}

interface Place {
  /** Of the map that a field is in. */
  readonly option: string;
  /** What relative paths are relative to. */
  readonly dir: string;
}

async function translateField(
  key: string,
  value: unknown,
  { option, dir }: Place,
): Promise<readonly [string, unknown]> {
  const field = option === '' ? key : `${option}.${key}`;
  const reader = readers.get(key);
  if (reader !== undefined) return reader(value, field);
  if (SECRETS.has(key)) return [key.slice(0, -'File'.length), await readSecret(value, field, dir)];
  if (/(?:File|Dir)$/.test(key) && typeof value === 'string') return [key, resolve(dir, value)];
  return [key, MAPS.has(key) ? value : await translate(value, field, dir)];
}

async function readSecret(value: unknown, option: string, dir: string): Promise<string> {
  if (typeof value !== 'string') return refuse(option, 'a path', value);
  const path = resolve(dir, value);
  return (await read(path, option)).replace(/\r?\n$/, '');
}

async function read(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = Error.isError(error) && 'code' in error ? String(error.code) : String(error);
    throw new RegistryConfigError('CONFIG_FILE_UNREADABLE', `cannot read ${path}: ${code}`, {
      option,
      path,
      cause: error,
    });
  }
}

/**
 * Reads a configuration from a YAML file. Options have the names of {@link RegistryConfiguration}, except that times, sizes and
 * rates are written with their unit (`every: 1h`, `quota: 10GB`) and without it in their name. Paths are relative to the file,
 * and secrets may be in files of their own (`passwordFile`, `secretFile`).
 *
 * @throws {@link RegistryConfigError} `CONFIG_FILE_UNREADABLE`, `CONFIG_FILE_INVALID`: no YAML; `CONFIG_INVALID`: which option
 */
export async function readConfiguration(path: string): Promise<RegistryConfiguration> {
  const source = await read(path, 'configuration');
  // CommonJS, whose names a bundler leaves to the default export.
  const { parse } = (await import('yaml')).default;
  let document: unknown;
  try {
    document = parse(source, { maxAliasCount: 0, prettyErrors: true }) ?? {};
  } catch (error) {
    const [why = ''] = (Error.isError(error) ? error.message : String(error)).split('\n');
    throw new RegistryConfigError('CONFIG_FILE_INVALID', `${path}: ${why}`, { path, cause: error });
  }
  try {
    return checkConfiguration(await translate(document, '', dirname(resolve(path))));
  } catch (error) {
    if (!isRegistryConfigError(error) || error.code !== 'CONFIG_INVALID') throw error;
    const { option } = error;
    throw new RegistryConfigError('CONFIG_INVALID', `${path}: ${error.message}`, { option, path, cause: error });
  }
}
