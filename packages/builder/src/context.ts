import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { SourceTree } from './copy-sources.ts';
import { diskTree, statOrNothing } from './disk-tree.ts';
import { BuilderError } from './errors.ts';
import { parseIgnoreFile } from './ignore-file.ts';
import type { IgnoreRules } from './ignore-file.ts';

export interface DockerfileText {
  readonly text: string;
  readonly name: string;
  /** undefined when the text didn't come from a file. */
  readonly path: string | undefined;
}

/**
 * Reads the Dockerfile: below the context, or anywhere if the path is absolute.
 *
 * @throws {@link BuilderError} `BUILDER_CONTEXT`: it can't be read
 */
export function readDockerfile(contextDir: string, dockerfile: string = 'Dockerfile'): DockerfileText {
  const path = isAbsolute(dockerfile) ? dockerfile : join(contextDir, dockerfile);
  return { text: readText(path), name: dockerfile, path };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = Error.isError(error) && 'code' in error ? String(error.code) : 'unreadable';
    throw new BuilderError('BUILDER_CONTEXT', `cannot read ${path}: ${code}`, { file: path, cause: error });
  }
}

/**
 * The build context as a tree to copy from, without what `<Dockerfile>.dockerignore` or `.dockerignore` leaves out. No link
 * in it leads to a file outside, and an ignore file that is a link is not read.
 *
 * @throws {@link BuilderError} `BUILDER_CONTEXT`: no directory; `BUILDER_IGNORE_PATTERN`
 */
export function openContext(contextDir: string, dockerfilePath: string | undefined): SourceTree {
  if (statOf(contextDir)?.isDirectory() !== true) {
    throw new BuilderError('BUILDER_CONTEXT', `the build context ${contextDir} is no directory`, { file: contextDir });
  }
  const tree = diskTree(realpathSync(contextDir));
  const owned = (entry: ReturnType<typeof tree.lookup>): typeof entry => entry && { ...entry, uid: 0, gid: 0 };
  return {
    // Who owns a file here says nothing about who should own it in the image.
    tree: { lookup: (path) => owned(tree.lookup(path)), list: tree.list },
    name: 'the build context',
    ignore: readIgnoreRules(contextDir, dockerfilePath),
  };
}

const statOf = (path: string): ReturnType<typeof statSync> | undefined => statSync(path, { throwIfNoEntry: false });

function readIgnoreRules(contextDir: string, dockerfilePath: string | undefined): IgnoreRules | undefined {
  const beside =
    dockerfilePath === undefined
      ? undefined
      : join(dirname(dockerfilePath), `${basename(dockerfilePath)}.dockerignore`);
  for (const path of [beside, join(contextDir, '.dockerignore')]) {
    if (path !== undefined && statOrNothing(path)?.isFile() === true)
      return parseIgnoreFile(readText(path), basename(path));
  }
  return undefined;
}
