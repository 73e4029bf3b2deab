import { posix } from 'node:path';
import { walkSource } from './copy-sources.ts';
import type { FoundSource, SourceTree } from './copy-sources.ts';
import { BuilderError } from './errors.ts';
import { joinPath, resolveInTree, treePath } from './file-tree.ts';
import type { FileTree, TreeEntry } from './file-tree.ts';

/** What is to be put where. */
export interface CopyRequest {
  readonly source: SourceTree;
  readonly found: readonly FoundSource[];
  /** Here-documents, as files. */
  readonly inline: readonly { readonly name: string; readonly content: string }[];
  /** The destination as written, expanded: a slash at its end makes it a directory. */
  readonly destination: string;
  /** What a relative destination is below. */
  readonly workingDir: string;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly mode: number | undefined;
}

/**
 * The files of the layer that a COPY makes on top of a tree, by path, with the directories that lead to them as the tree has
 * them. Pure over the two trees.
 *
 * A file goes into the destination if that is a directory or ends in a slash, and otherwise becomes it; of a directory, the
 * content goes there. Links in the destination's directories are followed inside the image.
 *
 * @throws {@link BuilderError} `BUILDER_DESTINATION`: a directory where a file is or the other way round, or several files to
 *   one name; `BUILDER_UNSUPPORTED`: a device or socket
 */
export function planCopy(target: FileTree, request: CopyRequest): ReadonlyMap<string, TreeEntry> {
  const layer = new CopyLayer(target, request);
  const written = posix.join(request.workingDir, request.destination);
  const count = request.found.length + request.inline.length;
  const existing = resolveInTree(target, treePath(written), { followLast: true });
  const asDirectory =
    request.destination.endsWith('/') || request.destination === '.' || existing.entry?.type === 'directory';
  const onlyDirectories = request.found.every(({ entry }) => entry.type === 'directory') && request.inline.length === 0;
  if (count > 1 && !asDirectory && !onlyDirectories) {
    throw new BuilderError('BUILDER_DESTINATION', `cannot copy several files to ${written}: a directory ends with /`);
  }
  for (const { name, path, entry } of request.found) {
    if (entry.type === 'directory') layer.putDirectory(existing.path, { path, entry });
    else layer.putFile(asDirectory ? joinPath(existing.path, name) : layer.follow(treePath(written)), entry);
  }
  for (const { name, content } of request.inline) {
    const entry: TreeEntry = { type: 'file', mode: 0o644, uid: 0, gid: 0, content };
    layer.putFile(asDirectory ? joinPath(existing.path, name) : layer.follow(treePath(written)), entry);
  }
  return layer.files;
}

/** A directory to make, and those above it that are missing, as WORKDIR does. Empty when all of it is there. */
export function planDirectory(target: FileTree, path: string): ReadonlyMap<string, TreeEntry> {
  const { path: real, entry } = resolveInTree(target, treePath(path), { followLast: true });
  if (entry?.type === 'directory') return new Map();
  const layer = new CopyLayer(target, { owner: undefined, mode: undefined });
  layer.makeDirectory(real);
  return layer.files;
}

type CopyAttributes = Pick<CopyRequest, 'owner' | 'mode'> & Partial<Pick<CopyRequest, 'source'>>;

class CopyLayer {
  readonly files = new Map<string, TreeEntry>();
  readonly #target: FileTree;
  readonly #request: CopyAttributes;

  constructor(target: FileTree, request: CopyAttributes) {
    this.#target = target;
    this.#request = request;
  }

  /** The path with the links of its directories followed; a link at its end is replaced, not followed. */
  follow(path: string): string {
    return resolveInTree(this.#target, path, { followLast: false }).path;
  }

  putFile(path: string, entry: TreeEntry): void {
    if (entry.type === 'other')
      throw new BuilderError('BUILDER_UNSUPPORTED', `cannot copy to /${path}: neither file, directory nor link`);
    if (this.#at(path)?.type === 'directory') {
      throw new BuilderError('BUILDER_DESTINATION', `cannot copy a file over the directory /${path}`);
    }
    this.makeDirectory(parentOf(path));
    this.files.set(path, this.#withAttributes(entry));
  }

  putDirectory(path: string, source: Pick<FoundSource, 'path' | 'entry'>): void {
    const before = this.#at(path);
    if (before === undefined) this.makeDirectory(parentOf(path));
    if (before === undefined) this.files.set(path, this.#withAttributes(source.entry));
    else this.makeDirectory(path);
    if (this.#request.source === undefined) return;
    for (const [relative, entry] of walkSource(this.#request.source, source.path)) {
      const target = joinPath(path, relative);
      if (entry.type === 'directory') this.#putSubdirectory(target, entry);
      else if (entry.type !== 'other') this.putFile(target, entry);
    }
  }

  /** Makes sure that a directory is there. One of the image is listed as it is: a layer's entry replaces its attributes. */
  makeDirectory(path: string): void {
    if (path === '' || this.files.get(path)?.type === 'directory') return;
    const before = this.#at(path);
    if (before !== undefined && before.type !== 'directory') {
      throw new BuilderError('BUILDER_DESTINATION', `cannot make the directory /${path}: a ${before.type} is there`);
    }
    this.makeDirectory(parentOf(path));
    const { uid, gid } = this.#request.owner ?? { uid: 0, gid: 0 };
    this.files.set(path, before ?? { type: 'directory', mode: 0o755, uid, gid });
  }

  #putSubdirectory(path: string, entry: TreeEntry): void {
    const before = this.#at(path);
    if (before !== undefined && before.type !== 'directory') {
      throw new BuilderError('BUILDER_DESTINATION', `cannot copy a directory over the ${before.type} /${path}`);
    }
    this.makeDirectory(parentOf(path));
    this.files.set(path, this.#withAttributes(entry));
  }

  #at(path: string): TreeEntry | undefined {
    return this.files.get(path) ?? this.#target.lookup(path);
  }

  #withAttributes(entry: TreeEntry): TreeEntry {
    const { owner, mode } = this.#request;
    return { ...entry, ...owner, ...(mode === undefined || entry.type === 'symlink' ? {} : { mode }) };
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
