/** Names that Go spells in its own way. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['os', 'OS'],
  ['os.version', 'OSVersion'],
  ['os.features', 'OSFeatures'],
  ['urls', 'URLs'],
  ['rootfs', 'RootFS'],
  ['diff_ids', 'DiffIDs'],
  ['created_by', 'CreatedBy'],
  ['empty_layer', 'EmptyLayer'],
]);

/** Members whose own keys are data, and no names of fields. */
const MAPS: ReadonlySet<string> = new Set(['annotations', 'Labels', 'ExposedPorts', 'Volumes']);

/** What Go's structs have, whether or not the document has it. */
const DESCRIPTOR = { MediaType: '', Digest: '', Size: 0, URLs: null, Annotations: null, Platform: null };
const PLATFORM = { Architecture: '', OS: '', OSVersion: '', OSFeatures: null, Variant: '' };
const CONFIG = {
  User: '',
  ExposedPorts: null,
  Env: null,
  Entrypoint: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: '',
  Labels: null,
  StopSignal: '',
};
const IMAGE = { Created: null, Author: '', ...PLATFORM, Config: CONFIG, RootFS: null, History: null };
const ABSENT: Readonly<Record<string, object>> = { manifests: DESCRIPTOR, platform: PLATFORM, config: CONFIG };

/**
 * A JSON document as Go's templates see it: `{{.Manifests}}` is its member `manifests`, and `{{json .}}` the document
 * itself.
 */
export function goValue(document: unknown, absent: object = {}): unknown {
  if (Array.isArray(document)) return document.map((element: unknown) => goValue(element, absent));
  if (typeof document !== 'object' || document === null) return document;
  const fields = Object.entries(document).map(([key, value]: [string, unknown]) => [
    goName(key),
    MAPS.has(key) ? value : goValue(value, ABSENT[key]),
  ]);
  const view = { ...absent, ...(Object.fromEntries(fields) as Readonly<Record<string, unknown>>) };
  return Object.defineProperty(view, 'toJSON', { value: () => document });
}

/** An image's config. */
export const goImage = (config: unknown): unknown => goValue(config, IMAGE);

/** The descriptor of a manifest, or an index with what describes it. */
export const goManifest = (manifest: unknown): unknown => goValue(manifest, DESCRIPTOR);

const goName = (key: string): string => SPELLINGS.get(key) ?? key.charAt(0).toUpperCase() + key.slice(1);
