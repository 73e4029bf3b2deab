import { ComposeError, isComposeError } from './errors.ts';
import { boolean, fieldsOf, labels, listOf, mapOf, text } from './fields.ts';
import type { Fields, Read } from './fields.ts';
import { interpolate } from './interpolation.ts';
import type { Environment } from './interpolation.ts';
import { dropResets, mergeFiles } from './merge.ts';
import type { ComposeModel, FileObject, Network, Service, Subnet, Volume } from './model.ts';
import { errorAt, parseYaml } from './node.ts';
import type { ComposeNode } from './node.ts';
import { readService } from './service.ts';
import { nearest } from './spelling.ts';

export interface ParseComposeOptions {
  /** The name that errors begin with; `compose.yaml` unless told. */
  readonly file?: string | undefined;
  /** What `${…}` is taken from; nothing is set unless told. */
  readonly env?: Environment | undefined;
  /** Told the name of each variable that is not set and has no default. */
  readonly onUnset?: ((name: string) => void) | undefined;
}

export interface ComposeSource {
  readonly text: string;
  /** The name that errors begin with. */
  readonly file: string;
}

/**
 * Reads one Compose file: YAML, then variables, then every key by the specification. Pure: it reads no other file.
 *
 * @throws {@link ComposeError} `COMPOSE_YAML`, `COMPOSE_LIMIT`, `COMPOSE_INTERPOLATION`, `COMPOSE_SCHEMA`,
 *   `COMPOSE_UNSUPPORTED`, `COMPOSE_REFERENCE`, each with file and line
 * @see https://github.com/compose-spec/compose-spec/blob/main/spec.md
 * @example parseComposeFile('services: { web: { image: nginx } }').services.get('web')?.image // 'nginx'
 */
export const parseComposeFile = (source: string, options: ParseComposeOptions = {}): ComposeModel =>
  parseComposeFiles([{ text: source, file: options.file ?? 'compose.yaml' }], options);

/**
 * Reads several files, each merged over those before it, as `-f a -f b` does.
 *
 * @throws {@link ComposeError} as {@link parseComposeFile}
 */
export function parseComposeFiles(
  sources: readonly ComposeSource[],
  options: Omit<ParseComposeOptions, 'file'> = {},
): ComposeModel {
  const env = options.env ?? new Map<string, string>();
  const nodes = sources.map(({ text: yaml, file }) =>
    interpolateNode(parseYaml(yaml, file), (value) => interpolate(value, env, { onUnset: options.onUnset })),
  );
  const [first, ...more] = nodes;
  const node = first === undefined ? undefined : dropResets(more.reduce((base, over) => mergeFiles(base, over), first));
  if (node === undefined) throw new ComposeError('COMPOSE_SCHEMA', 'no Compose file is given');
  return readModel(node);
}

function interpolateNode(node: ComposeNode, expand: (text: string) => string): ComposeNode {
  if (node.type === 'list') return { ...node, items: node.items.map((item) => interpolateNode(item, expand)) };
  if (node.type === 'map') {
    return {
      ...node,
      entries: new Map([...node.entries].map(([key, value]) => [key, interpolateNode(value, expand)])),
    };
  }
  if (typeof node.value !== 'string' || !node.value.includes('$')) return node;
  try {
    const value = expand(node.value);
    return { ...node, value, source: value };
  } catch (error) {
    if (isComposeError(error)) throw errorAt(node, error.code, error.message);
    throw error;
  }
}

function readModel(node: ComposeNode): ComposeModel {
  const fields = fieldsOf(node, {
    read: ['name', 'version', 'services', 'networks', 'volumes', 'configs', 'secrets'],
    refused: ['include', 'models'],
  });
  const model: ComposeModel = {
    name: fields.get('name', projectName),
    services: fields.get('services', mapOf(named(readService))) ?? new Map<string, Service>(),
    networks: fields.get('networks', mapOf(readNetwork)) ?? new Map<string, Network>(),
    volumes: fields.get('volumes', mapOf(readVolume)) ?? new Map<string, Volume>(),
    configs: fields.get('configs', mapOf(readFileObject)) ?? new Map<string, FileObject>(),
    secrets: fields.get('secrets', mapOf(readFileObject)) ?? new Map<string, FileObject>(),
  };
  checkReferences(model, fields);
  return model;
}

const NAME = /^[a-z0-9][a-z0-9_-]*$/;
const SERVICE_NAME = /^[a-zA-Z0-9._-]+$/;
const NAME_MAX = 200;

const projectName: Read<string> = (node) => {
  const name = text(node);
  if (NAME.test(name) && name.length <= NAME_MAX) return name;
  throw errorAt(
    node,
    'COMPOSE_SCHEMA',
    `${name} is no project name: lower-case letters, digits, dashes and underscores`,
  );
};

/** Names become names of containers, so they are checked before they are anything. */
const named =
  <T>(read: (node: ComposeNode, name: string) => T) =>
  (node: ComposeNode, name: string): T => {
    if (SERVICE_NAME.test(name) && name.length <= NAME_MAX) return read(node, name);
    throw errorAt(
      node,
      'COMPOSE_SCHEMA',
      `${JSON.stringify(name)} is no name: letters, digits, dots, dashes, underscores`,
    );
  };

const isNothing = (node: ComposeNode): boolean => node.type === 'scalar' && node.value === null;
const emptyMap = (node: ComposeNode): ComposeNode => ({ ...node, type: 'map', entries: new Map() });

const readNetwork = named((node: ComposeNode): Network => {
  const fields = fieldsOf(isNothing(node) ? emptyMap(node) : node, {
    read: ['name', 'driver', 'driver_opts', 'external', 'internal', 'attachable', 'enable_ipv6', 'ipam', 'labels'],
    refused: ['enable_ipv4'],
  });
  return {
    name: fields.get('name', text),
    driver: fields.get('driver', text),
    driverOptions: fields.get('driver_opts', labels) ?? new Map<string, string>(),
    external: fields.get('external', boolean) ?? false,
    internal: fields.get('internal', boolean) ?? false,
    attachable: fields.get('attachable', boolean) ?? false,
    enableIpv6: fields.get('enable_ipv6', boolean) ?? false,
    subnets: fields.get('ipam', readIpam) ?? [],
    labels: fields.get('labels', labels) ?? new Map<string, string>(),
  };
});

const readIpam: Read<readonly Subnet[]> = (node) => {
  const fields = fieldsOf(node, { read: ['config'], refused: ['driver', 'options'] });
  return fields.get('config', listOf(readSubnet)) ?? [];
};

const readSubnet: Read<Subnet> = (node) => {
  const fields = fieldsOf(node, { read: ['subnet', 'gateway', 'ip_range'], refused: ['aux_addresses'] });
  return {
    subnet: fields.get('subnet', text),
    gateway: fields.get('gateway', text),
    ipRange: fields.get('ip_range', text),
  };
};

const readVolume = named((node: ComposeNode): Volume => {
  const fields = fieldsOf(isNothing(node) ? emptyMap(node) : node, {
    read: ['name', 'driver', 'driver_opts', 'external', 'labels'],
  });
  return {
    name: fields.get('name', text),
    driver: fields.get('driver', text),
    driverOptions: fields.get('driver_opts', labels) ?? new Map<string, string>(),
    external: fields.get('external', boolean) ?? false,
    labels: fields.get('labels', labels) ?? new Map<string, string>(),
  };
});

const readFileObject = named((node: ComposeNode): FileObject => {
  const fields = fieldsOf(node, {
    read: ['file', 'environment', 'content', 'external', 'name'],
    refused: ['driver', 'driver_opts', 'labels', 'template_driver'],
  });
  const external = fields.get('external', boolean) ?? false;
  const sources = ['file', 'environment', 'content'].filter((name) => fields.has(name));
  if (sources.length !== (external ? 0 : 1)) {
    throw errorAt(
      node,
      'COMPOSE_SCHEMA',
      external ? 'external has no source here' : 'want one of file, environment, content',
    );
  }
  return {
    file: fields.get('file', text),
    environment: fields.get('environment', text),
    content: fields.get('content', text),
    external,
    name: fields.get('name', text),
  };
});

/** Every name that a service uses must be there. */
function checkReferences(model: ComposeModel, fields: Fields): void {
  for (const service of model.services.values()) {
    const check = (kind: string, name: string, known: ReadonlyMap<string, unknown>): void => {
      if (known.has(name)) return;
      const close = nearest(name, known.keys());
      const hint = close === undefined ? '' : `, did you mean ${close}?`;
      const services = fields.node.entries.get('services');
      const place = services?.type === 'map' ? services.entries.get(service.name) : undefined;
      throw errorAt(place ?? fields.node, 'COMPOSE_REFERENCE', `there is no ${kind} ${name}${hint}`);
    };
    for (const name of service.networks.keys()) if (name !== 'default') check('network', name, model.networks);
    for (const { type, source } of service.volumes) {
      if (type === 'volume' && source !== undefined) check('volume', source, model.volumes);
    }
    for (const { source } of service.secrets) check('secret', source, model.secrets);
    for (const { source } of service.configs) check('config', source, model.configs);
    for (const [name, { required }] of service.dependsOn) if (required) check('service', name, model.services);
  }
}
