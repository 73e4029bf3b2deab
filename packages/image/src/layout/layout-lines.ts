import type { Descriptor, Platform } from '../descriptor.ts';
import { isDigest, type Digest } from '../digest.ts';
import { ImageError, quote } from '../errors.ts';
import { artifactDocuments, type Artifact } from '../image/artifact.ts';
import { readArtifact, type ArtifactSource, type ReadArtifactOptions } from '../image/read-artifact.ts';
import { isIndexType, isManifestType } from '../media-types.ts';
import { matchDescriptor } from '../platform.ts';
import { isCalled, lineName } from './layout-name.ts';

/** A line of a layout's or an archive's index: an image, an index or another artifact, perhaps with a name. */
export interface LayoutEntry {
  /** As it is written there: a reference, or a tag. */
  readonly name: string | undefined;
  readonly descriptor: Descriptor;
}

export const entryOf = (descriptor: Descriptor): LayoutEntry => ({ name: lineName(descriptor), descriptor });

/** Lines, and where what they name is. */
export interface LayoutView extends ArtifactSource {
  readonly where: string;
  readonly lines: readonly Descriptor[];
  /** The error for a blob that should be there. */
  readonly missing: (digest: Digest) => ImageError;
}

const notFound = (view: LayoutView, what: string): ImageError =>
  new ImageError('IMAGE_NOT_FOUND', `no such image: ${what} in ${view.where}`, { path: what });

/** The one line that is meant; several with one name are told apart by their platforms. */
const oneLine = (
  found: readonly Descriptor[],
  {
    view,
    what,
    platform,
  }: { readonly view: LayoutView; readonly what: string; readonly platform?: Platform | undefined },
): Descriptor => {
  const [first] = found;
  if (first === undefined) throw notFound(view, what);
  if (found.every(({ digest }) => digest === first.digest)) return first;
  const match = platform === undefined ? undefined : matchDescriptor(platform, found);
  if (match !== undefined) return match;
  throw new ImageError('IMAGE_AMBIGUOUS', `${String(found.length)} images are ${what} in ${view.where}`, {
    path: what,
  });
};

/** What one line names. */
export const readLine = async (view: LayoutView, line: Descriptor, options: ReadArtifactOptions): Promise<Artifact> => {
  if (!isManifestType(line.mediaType) && !isIndexType(line.mediaType)) {
    const what = `${line.digest} is ${quote(line.mediaType)}, which is neither manifest nor index`;
    throw new ImageError('IMAGE_INVALID', what, { path: line.digest });
  }
  const bytes = await view.document(line, options);
  if (bytes === undefined) throw view.missing(line.digest);
  return readArtifact({ descriptor: line, bytes }, view, options);
};

/** A manifest that only an index of the layout lists. */
const readMember = async (view: LayoutView, digest: string, options: ReadArtifactOptions): Promise<Artifact> => {
  for (const line of view.lines.filter(({ mediaType }) => isIndexType(mediaType))) {
    const index = await readLine(view, line, { signal: options.signal });
    const found = artifactDocuments(index).find(({ descriptor }) => descriptor.digest === digest);
    if (found !== undefined) return readArtifact(found, view, options);
  }
  throw notFound(view, digest);
};

/**
 * Reads what a name or digest means.
 *
 * @param which - `undefined`: the only one that there is
 * @throws {@link ImageError} `IMAGE_NOT_FOUND`, `IMAGE_AMBIGUOUS`, and as {@link readArtifact}
 */
export const findArtifact = async (
  view: LayoutView,
  which: string | undefined,
  options: ReadArtifactOptions,
): Promise<Artifact> => {
  const { platform } = options;
  if (which === undefined)
    return readLine(view, oneLine(view.lines, { view, what: 'the only one', platform }), options);
  if (!isDigest(which)) {
    const found = view.lines.filter((line) => isCalled(line, which));
    return readLine(view, oneLine(found, { view, what: quote(which), platform }), options);
  }
  const line = view.lines.find(({ digest }) => digest === which);
  return line === undefined ? readMember(view, which, options) : readLine(view, line, options);
};
