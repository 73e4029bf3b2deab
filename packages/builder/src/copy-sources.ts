import { BuilderError } from './errors.ts';
import { joinPath, resolveInTree, treePath } from './file-tree.ts';
import type { FileTree, TreeEntry } from './file-tree.ts';
import { isIgnored } from './ignore-file.ts';
import type { IgnoreRules } from './ignore-file.ts';
import { compilePathPattern, matchesPath } from './path-pattern.ts';

/** Where COPY finds its sources. */
export interface SourceTree {
  readonly tree: FileTree;
  /** For messages: `the build context`, `stage build`. */
  readonly name: string;
  readonly ignore: IgnoreRules | undefined;
}

/** A source that was found. */
export interface FoundSource {
  /** The last part of the name as written: what a file is called at its destination. */
  readonly name: string;
  readonly path: string;
  readonly entry: TreeEntry;
}

const isPattern = (text: string): boolean => /[*?[]/.test(text);

/**
 * Finds what one source word of COPY means. A link is followed inside the tree. A pattern may match nothing, as in
 * `COPY package.json package-lock.json* ./`; a plain name may not.
 *
 * @throws {@link BuilderError} `BUILDER_SOURCE_NOT_FOUND`
 */
export function findSources(source: SourceTree, word: string): readonly FoundSource[] {
  const path = treePath(word);
  const paths = isPattern(path) ? matchPaths(source, path) : [path];
  return paths.map((found) => openSource(source, found, word)).filter((found) => found !== undefined);
}

function openSource(source: SourceTree, path: string, word: string): FoundSource | undefined {
  const { tree, name, ignore } = source;
  const { path: real, entry } = resolveInTree(tree, path, { followLast: true });
  const hidden = entry !== undefined && ignore !== undefined && entry.type !== 'directory' && isIgnored(ignore, real);
  if (entry !== undefined && !hidden) return { name: path.split('/').at(-1) ?? '', path: real, entry };
  if (isPattern(word)) return undefined;
  const why = hidden ? `.dockerignore leaves it out of ${name}` : `not in ${name}`;
  throw new BuilderError('BUILDER_SOURCE_NOT_FOUND', `cannot copy ${word}: ${why}`);
}

/** Matches a pattern part by part, so that only directories that can match are read. */
function matchPaths({ tree, ignore }: SourceTree, pattern: string): readonly string[] {
  let found: readonly string[] = [''];
  for (const part of pattern.split('/')) {
    const compiled = compilePathPattern(part);
    found = found.flatMap((directory) => {
      const { path, entry } = resolveInTree(tree, directory, { followLast: true });
      if (entry?.type !== 'directory') return [];
      return tree
        .list(path)
        .filter((name) => matchesPath(compiled, name))
        .map((name) => joinPath(directory, name));
    });
  }
  return ignore === undefined ? found : found.filter((path) => !isIgnored(ignore, path));
}

/** Everything below a directory, with paths relative to it, directories before what is in them. */
export function* walkSource(
  { tree, ignore }: SourceTree,
  root: string,
): Generator<readonly [path: string, entry: TreeEntry]> {
  const pending = [...tree.list(root)].reverse();
  for (let relative = pending.pop(); relative !== undefined; relative = pending.pop()) {
    const path = joinPath(root, relative);
    const entry = tree.lookup(path);
    if (entry === undefined) continue;
    const ignored = ignore !== undefined && isIgnored(ignore, path);
    // A later `!` rule may bring back a file in an ignored directory: the directory then comes with it.
    if (!ignored) yield [relative, entry];
    if (entry.type === 'directory' && (!ignored || ignore.rules.some((rule) => rule.negated))) {
      for (const name of [...tree.list(path)].reverse()) pending.push(joinPath(relative, name));
    }
  }
}
