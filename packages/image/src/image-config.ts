import type { Digest } from './digest.ts';
import {
  asBoolean,
  asDigest,
  asInteger,
  asList,
  asRecord,
  asString,
  compact,
  optional,
  parseDocument,
  requiredMember,
  type Node,
} from './document.ts';

/** How to find out whether a container is well; times are nanoseconds, as the specification has them. */
export interface Healthcheck {
  readonly Test?: readonly string[] | undefined;
  readonly Interval?: number | undefined;
  readonly Timeout?: number | undefined;
  readonly StartPeriod?: number | undefined;
  readonly StartInterval?: number | undefined;
  readonly Retries?: number | undefined;
}

/** Go's `struct{}`: the keys of the map say it all. */
export type Empty = Readonly<Record<string, never>>;

/** What a container of the image starts with; the member names are those of the JSON. */
export interface ContainerDefaults {
  readonly User?: string | undefined;
  /** Keys are `port/protocol`: `80/tcp`. */
  readonly ExposedPorts?: Readonly<Record<string, Empty>> | undefined;
  readonly Env?: readonly string[] | undefined;
  readonly Entrypoint?: readonly string[] | undefined;
  readonly Cmd?: readonly string[] | undefined;
  readonly Volumes?: Readonly<Record<string, Empty>> | undefined;
  readonly WorkingDir?: string | undefined;
  readonly Labels?: Readonly<Record<string, string>> | undefined;
  readonly StopSignal?: string | undefined;
  readonly Healthcheck?: Healthcheck | undefined;
  readonly Shell?: readonly string[] | undefined;
  readonly OnBuild?: readonly string[] | undefined;
}

/** One step that made the image; `empty_layer` steps changed the config only. */
export interface History {
  readonly created?: string | undefined;
  readonly created_by?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  readonly empty_layer?: boolean | undefined;
}

/**
 * The config of an image, whose digest is the image's id.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md
 */
export interface ImageConfig {
  /** RFC 3339. */
  readonly created?: string | undefined;
  readonly author?: string | undefined;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string | undefined;
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
  readonly config?: ContainerDefaults | undefined;
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly History[] | undefined;
}

const strings = (node: Node): readonly string[] => asList(node, asString);
const keys = (node: Node): Readonly<Record<string, Empty>> => asRecord(node, () => ({}));

const readHealthcheck = (node: Node): Healthcheck =>
  compact({
    Test: optional(node, 'Test', strings),
    Interval: optional(node, 'Interval', asInteger),
    Timeout: optional(node, 'Timeout', asInteger),
    StartPeriod: optional(node, 'StartPeriod', asInteger),
    StartInterval: optional(node, 'StartInterval', asInteger),
    Retries: optional(node, 'Retries', asInteger),
  });

const readDefaults = (node: Node): ContainerDefaults =>
  compact({
    User: optional(node, 'User', asString),
    ExposedPorts: optional(node, 'ExposedPorts', keys),
    Env: optional(node, 'Env', strings),
    Entrypoint: optional(node, 'Entrypoint', strings),
    Cmd: optional(node, 'Cmd', strings),
    Volumes: optional(node, 'Volumes', keys),
    WorkingDir: optional(node, 'WorkingDir', asString),
    Labels: optional(node, 'Labels', (map) => asRecord(map, asString)),
    StopSignal: optional(node, 'StopSignal', asString),
    Healthcheck: optional(node, 'Healthcheck', readHealthcheck),
    Shell: optional(node, 'Shell', strings),
    OnBuild: optional(node, 'OnBuild', strings),
  });

const readHistory = (node: Node): History =>
  compact({
    created: optional(node, 'created', asString),
    created_by: optional(node, 'created_by', asString),
    author: optional(node, 'author', asString),
    comment: optional(node, 'comment', asString),
    empty_layer: optional(node, 'empty_layer', asBoolean),
  });

const readRootfs = (node: Node): ImageConfig['rootfs'] => ({
  type: 'layers',
  diff_ids: optional(node, 'diff_ids', (list) => asList(list, asDigest)) ?? [],
});

/**
 * Reads an image config. Members that the specification does not have are left out of the value (the stored bytes keep
 * them); members of a wrong type are refused.
 *
 * @throws {@link ImageError} `DOCUMENT_INVALID`
 */
export const parseImageConfig = (bytes: Uint8Array, where: string = 'image config'): ImageConfig => {
  const node = parseDocument(bytes, where);
  return compact({
    created: optional(node, 'created', asString),
    author: optional(node, 'author', asString),
    architecture: asString(requiredMember(node, 'architecture')),
    os: asString(requiredMember(node, 'os')),
    variant: optional(node, 'variant', asString),
    'os.version': optional(node, 'os.version', asString),
    'os.features': optional(node, 'os.features', strings),
    config: optional(node, 'config', readDefaults),
    rootfs: readRootfs(requiredMember(node, 'rootfs')),
    history: optional(node, 'history', (list) => asList(list, readHistory)),
  });
};
