import {
  artifactImage,
  artifactIndex,
  DOCKER_MANIFEST_LIST,
  formatPlatform,
  isIndexArtifact,
  OCI_INDEX,
  parseIndex,
} from '@tsc/image';
import type { Artifact, Descriptor, RegistryClient } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, notSupported } from '../errors.ts';
import { text, toggle } from '../flags/flag.ts';
import { compileTemplate } from '../format/template/evaluate.ts';
import { formatDetails } from '../imagetools/details.ts';
import { goImage, goManifest } from '../imagetools/go-names.ts';
import { fetchArtifact } from '../manifest-list/entry.ts';
import { print } from '../output.ts';
import { withRegistries } from '../registry/client.ts';
import { readReference } from '../request/reference.ts';
import type { WrittenReference } from '../request/reference.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] NAME',
  summary: 'Show details of an image in the registry',
  aliases: ['tsc buildx imagetools inspect'],
  flags: {
    format: text('Format the output using the given Go template', { shownDefault: '"{{.Manifest}}"' }),
    raw: toggle('Show original, unformatted JSON manifest'),
  },
  notYet: ['builder'],
  least: 1,
  most: 1,
  unprivileged: true,
  run: async ({ values: { format, raw }, positional: [name = ''] }) => {
    if (raw && format !== undefined) throw badValue('format and raw cannot be used together');
    const written = readReference(name);
    // The whole of `{{.Manifest}}` is the text without a template.
    const template = format === undefined || format === '{{.Manifest}}' ? undefined : compileDetails(format);
    await withRegistries(async (client) => {
      if (template === undefined) await printManifest(client, written, raw);
      else print(template(await describe(client, name, written)));
    });
    return 0;
  },
});

const compileDetails = (format: string): ReturnType<typeof compileTemplate> =>
  compileTemplate(format, new Map([['json', (value: unknown) => JSON.stringify(value ?? null, undefined, 2)]]));

async function printManifest(client: RegistryClient, { reference }: WrittenReference, raw: boolean): Promise<void> {
  const found = await client.repository(reference).manifest(reference.digest ?? reference.tag ?? '');
  const { descriptor, bytes } = found;
  if (raw) process.stdout.write(bytes);
  else {
    const isIndex = descriptor.mediaType === OCI_INDEX || descriptor.mediaType === DOCKER_MANIFEST_LIST;
    print(formatDetails(reference, descriptor, isIndex ? parseIndex(bytes).manifests : undefined));
  }
}

/** What a template can ask for. */
async function describe(client: RegistryClient, name: string, { reference }: WrittenReference): Promise<unknown> {
  const artifact = await fetchArtifact(client, reference, undefined);
  const { mediaType, digest, size } = artifact.descriptor;
  const isIndex = isIndexArtifact(artifact);
  const about = { mediaType, digest, size };
  const manifest = isIndex ? { ...artifactIndex(artifact), ...about } : about;
  const configs = await readConfigs(isIndex ? artifact.manifests : [artifact]);
  const [first] = configs.values();
  const images = Object.fromEntries([...configs].map(([platform, config]) => [platform, goImage(config)]));
  const refuse = (what: string) => (): never => {
    throw notSupported(what);
  };
  const fields = {
    Name: name,
    Manifest: goManifest(manifest),
    Image: configs.size > 1 ? images : goImage(first ?? null),
    SBOM: refuse('SBOM'),
    Provenance: refuse('Provenance'),
  };
  return Object.defineProperty(fields, 'toJSON', {
    value: () => ({ name, manifest, image: configs.size > 1 ? Object.fromEntries(configs) : (first ?? null) }),
  });
}

/** The configs of the images among manifests, as they were written, by platform. */
async function readConfigs(manifests: readonly Artifact[]): Promise<ReadonlyMap<string, unknown>> {
  const configs = new Map<string, unknown>();
  for (const artifact of manifests.filter(({ descriptor }) => isImageLine(descriptor))) {
    const { configBytes, config } = await artifactImage(artifact);
    const platform = formatPlatform(artifact.descriptor.platform ?? config);
    configs.set(platform, JSON.parse(configBytes.toString('utf8')));
  }
  return configs;
}

/** Attestations stand in an index like images, for a platform that is unknown. */
const isImageLine = ({ platform, artifactType }: Descriptor): boolean =>
  platform?.os !== 'unknown' && artifactType === undefined;
