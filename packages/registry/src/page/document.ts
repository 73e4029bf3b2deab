import { isDigest } from '../names.ts';
import type { Digest } from '../names.ts';

/** JSON that somebody pushed, and that may be anything. */
export type Fields = Readonly<Record<string, unknown>>;

/** How much of a hostile document gets onto a page. */
const ENTRIES_MAX = 1000;
const TEXT_MAX = 4000;

export const asFields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

export function asText(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return value.length > TEXT_MAX ? `${value.slice(0, TEXT_MAX)}…` : value;
}

export const asList = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? (value as unknown[]).slice(0, ENTRIES_MAX) : [];

export const asTexts = (value: unknown): readonly string[] => asList(value).flatMap((entry) => asText(entry) ?? []);

/** Texts by name: labels, annotations. */
export const asPairs = (value: unknown): readonly (readonly [string, string])[] =>
  Object.entries(asFields(value))
    .slice(0, ENTRIES_MAX)
    .flatMap(([key, text]) => (typeof text === 'string' ? [[asText(key) ?? '', asText(text) ?? ''] as const] : []));

export function parseFields(bytes: Uint8Array): Fields {
  try {
    return asFields(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    // What can't be read is shown as what it is: nothing.
    return {};
  }
}

/** What a manifest refers to. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly artifactType: string | undefined;
  /** `linux/arm64/v8` */
  readonly platform: string | undefined;
  readonly annotations: readonly (readonly [string, string])[];
}

function asDescriptor(value: unknown): Descriptor | undefined {
  const fields = asFields(value);
  const { digest, size } = fields;
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined;
  return {
    digest,
    mediaType: asText(fields['mediaType']) ?? '',
    sizeBytes: typeof size === 'number' && Number.isSafeInteger(size) && size > 0 ? size : 0,
    artifactType: asText(fields['artifactType']),
    platform: platformOf(asFields(fields['platform'])),
    annotations: asPairs(fields['annotations']),
  };
}

/** Undefined for what runs nowhere, such as attestations, which say `unknown/unknown`. */
export function platformOf(fields: Fields): string | undefined {
  const { os, architecture, variant } = fields;
  const parts = [os, architecture, variant].flatMap((part) => asText(part) ?? []);
  return parts.length < 2 || parts.includes('unknown') ? undefined : parts.join('/');
}

export interface ManifestDocumentView {
  readonly artifactType: string | undefined;
  readonly config: Descriptor | undefined;
  readonly layers: readonly Descriptor[];
  readonly members: readonly Descriptor[];
  readonly subject: Descriptor | undefined;
  readonly annotations: readonly (readonly [string, string])[];
}

/** Reads of a manifest what it has. */
export function viewManifest(bytes: Uint8Array): ManifestDocumentView {
  const fields = parseFields(bytes);
  const descriptors = (value: unknown): readonly Descriptor[] =>
    asList(value).flatMap((one) => asDescriptor(one) ?? []);
  return {
    artifactType: asText(fields['artifactType']),
    config: asDescriptor(fields['config']),
    layers: descriptors(fields['layers']),
    members: descriptors(fields['manifests']),
    subject: asDescriptor(fields['subject']),
    annotations: asPairs(fields['annotations']),
  };
}

/** A step of a build. */
export interface HistoryEntry {
  readonly command: string;
  /** Whether it made no layer. */
  readonly empty: boolean;
}

export interface ConfigView {
  readonly platform: string | undefined;
  readonly created: string | undefined;
  readonly settings: readonly (readonly [string, readonly string[]])[];
  readonly env: readonly (readonly [string, string])[];
  readonly labels: readonly (readonly [string, string])[];
  readonly history: readonly HistoryEntry[];
}

/** Reads of an image's configuration what it has. */
export function viewConfig(bytes: Uint8Array): ConfigView {
  const fields = parseFields(bytes);
  const config = asFields(fields['config']);
  const one = (value: unknown): readonly string[] => asTexts([value]);
  const keys = (value: unknown): readonly string[] => asTexts(Object.keys(asFields(value)));
  const settings: readonly (readonly [string, readonly string[]])[] = [
    ['Entrypoint', asTexts(config['Entrypoint'])],
    ['Command', asTexts(config['Cmd'])],
    ['Working directory', one(config['WorkingDir'])],
    ['User', one(config['User'])],
    ['Ports', keys(config['ExposedPorts'])],
    ['Volumes', keys(config['Volumes'])],
    ['Stop signal', one(config['StopSignal'])],
    ['Health check', asTexts(asFields(config['Healthcheck'])['Test'])],
    ['Author', one(fields['author'])],
  ];
  return {
    platform: platformOf(fields),
    created: asText(fields['created']),
    settings: settings.filter(([, values]) => values.length > 0),
    env: asTexts(config['Env']).map((pair) => {
      const mark = pair.indexOf('=');
      return mark < 0 ? ([pair, ''] as const) : ([pair.slice(0, mark), pair.slice(mark + 1)] as const);
    }),
    labels: asPairs(config['Labels']),
    history: asList(fields['history']).map((entry) => {
      const { created_by: command, empty_layer: empty } = asFields(entry);
      return { command: tidyCommand(asText(command) ?? ''), empty: empty === true };
    }),
  };
}

/** What builders put around what was written in the Dockerfile. */
const tidyCommand = (command: string): string =>
  command
    .replace(/^\/bin\/sh -c #\(nop\)\s+/, '')
    .replace(/^(?:RUN )?\/bin\/sh -c /, 'RUN ')
    .replace(/\s*# buildkit$/, '');
