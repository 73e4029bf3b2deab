import type { Descriptor } from '../descriptor.ts';
import { digestHex, type Digest } from '../digest.ts';
import { asList, asString, optional, parseDocument, requiredMember } from '../document.ts';
import { ImageError } from '../errors.ts';
import { imageArtifact, isImageLine } from '../image/artifact.ts';
import type { Blob, OpenOptions } from '../image/blob.ts';
import { parseManifest } from '../manifest.ts';
import { isManifestType } from '../media-types.ts';
import { parseIndexDocument } from '../layout/index-document.ts';
import type { LayoutView } from '../layout/layout-lines.ts';
import { CONTAINERD_NAME, lineName } from '../layout/layout-name.ts';
import { storeNames } from '../store/store.ts';
import { invalidArchive, type ArchiveFiles } from './archive-files.ts';
import { dockerImage } from './docker-archive.ts';

/** An image archive, of whichever format, as a layout has it. */
export interface ArchiveView extends LayoutView {
  /** Looks for a blob without reading it. @throws {@link ImageError} `ARCHIVE_INVALID`, `CONTENT_MISMATCH` */
  check(descriptor: Descriptor): void;
}

/** An image in Docker's `manifest.json`. */
export interface Tagged {
  readonly config: string;
  readonly layers: readonly string[];
  readonly names: readonly string[];
}

const readTags = async (files: ArchiveFiles, options: OpenOptions): Promise<readonly Tagged[]> =>
  asList(parseDocument(await files.read('manifest.json', options), 'manifest.json'), (node) => ({
    config: asString(requiredMember(node, 'Config')),
    layers: optional(node, 'Layers', (layers) => asList(layers, asString)) ?? [],
    names: storeNames(optional(node, 'RepoTags', (names) => asList(names, asString)) ?? []),
  }));

/**
 * Reads what an archive has: an OCI layout, with the names of a Docker archive that is in the same files; or a Docker
 * archive alone, old or new, whose images get manifests.
 *
 * @throws {@link ImageError} `ARCHIVE_INVALID`, `DOCUMENT_INVALID`, `IMAGE_INVALID`, `REFERENCE_INVALID`
 */
export const viewArchive = async (
  files: ArchiveFiles,
  options: OpenOptions & { readonly where: string },
): Promise<ArchiveView> => {
  const tags = files.has('manifest.json') ? await readTags(files, options) : undefined;
  if (files.has('oci-layout') && files.has('index.json')) return layoutView(files, tags ?? [], options);
  if (tags !== undefined) return dockerView(files, tags, options);
  throw invalidArchive(
    'it has neither manifest.json nor an OCI layout; the archive of a root filesystem is imported, not loaded',
  );
};

const blobName = (digest: Digest): string => `blobs/sha256/${digestHex(digest)}`;

const missing = (digest: Digest): ImageError => invalidArchive(`blob ${digest} is missing`);

const layoutView = async (
  files: ArchiveFiles,
  tags: readonly Tagged[],
  { where, signal }: OpenOptions & { readonly where: string },
): Promise<ArchiveView> => {
  const { lines } = parseIndexDocument(await files.read('index.json', { signal }), 'index.json');
  const document = async ({ digest }: Descriptor): Promise<Buffer | undefined> =>
    files.find(blobName(digest)) === undefined ? undefined : files.read(blobName(digest), { signal });
  const tagged: (readonly [Descriptor, readonly string[]])[] = [];
  for (const line of lines) tagged.push([line, await tagsOf(line, { files, tags, document })]);
  return {
    where,
    lines: withTags(tagged),
    missing,
    document,
    blob: (descriptor) => ({
      descriptor,
      open: (options) => files.get(blobName(descriptor.digest)).open(options),
    }),
    check: ({ digest, size }) => {
      const found = files.get(blobName(digest));
      if (found.size === size && (found.digest ?? digest) === digest) return;
      throw new ImageError(
        'CONTENT_MISMATCH',
        `blob ${digest} of ${String(size)} bytes is ${found.digest ?? 'one'} of ${String(found.size)}`,
        { path: digest },
      );
    },
  };
};

/** The names that Docker's part of an archive gives to what a line of OCI's is. */
const tagsOf = async (
  line: Descriptor,
  {
    files,
    tags,
    document,
  }: {
    readonly files: ArchiveFiles;
    readonly tags: readonly Tagged[];
    readonly document: (line: Descriptor) => Promise<Buffer | undefined>;
  },
): Promise<readonly string[]> => {
  if (tags.length === 0 || !isManifestType(line.mediaType) || !isImageLine(line)) return [];
  const bytes = await document(line);
  if (bytes === undefined) return [];
  const { config } = parseManifest(bytes, line.digest);
  const own = files.find(blobName(config.digest));
  return tags.filter((tagged) => files.find(tagged.config) === own).flatMap(({ names }) => names);
};

/** The lines, under their own names and those of tags that none of them has. */
const withTags = (lines: readonly (readonly [Descriptor, readonly string[]])[]): readonly Descriptor[] => {
  const keyOf = (line: Descriptor, name: string | undefined): string => `${line.digest} ${name ?? ''}`;
  const known = new Set(lines.map(([line]) => keyOf(line, lineName(line))));
  return lines.flatMap(([line, names]) => {
    const others = names.filter((name) => !known.has(keyOf(line, name)));
    others.forEach((name) => known.add(keyOf(line, name)));
    const named = others.map((name) => ({ ...line, annotations: { ...line.annotations, [CONTAINERD_NAME]: name } }));
    return lineName(line) === undefined && named.length > 0 ? named : [line, ...named];
  });
};

const dockerView = async (
  files: ArchiveFiles,
  tags: readonly Tagged[],
  options: OpenOptions & { readonly where: string },
): Promise<ArchiveView> => {
  const lines: Descriptor[] = [];
  const documents = new Map<Digest, Buffer>();
  const blobs = new Map<Digest, Blob>();
  for (const tagged of tags) {
    const { descriptor, bytes, blobs: own } = imageArtifact(await dockerImage(files, tagged, options));
    documents.set(descriptor.digest, bytes);
    for (const blob of own) blobs.set(blob.descriptor.digest, blob);
    const named = tagged.names.map((name) => ({ ...descriptor, annotations: { [CONTAINERD_NAME]: name } }));
    lines.push(...(named.length === 0 ? [descriptor] : named));
  }
  return {
    where: options.where,
    lines,
    missing,
    document: ({ digest }) => documents.get(digest),
    blob: (descriptor) => blobs.get(descriptor.digest) as Blob,
    check: () => undefined,
  };
};
