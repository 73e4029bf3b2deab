import { failed } from '../errors.ts';

export interface CopySource {
  /** As it was written: `/a/b`, `b/`, `b/.` */
  readonly path: string;
  readonly isDirectory: boolean;
}
export interface CopyDestination {
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
}
export interface CopyPlan {
  /** An existing directory that receives the copy. */
  readonly directory: string;
  /** What the copy is called there; `undefined` puts the contents of the source into the directory itself. */
  readonly name: string | undefined;
}

/**
 * Where a copy goes and what it is called there.
 *
 * @see https://docs.docker.com/reference/cli/docker/container/cp/ for the rules, which are those of `cp -a`
 */
export function planCopy(source: CopySource, destination: CopyDestination): CopyPlan {
  if (!source.isDirectory && assertsDirectory(source.path)) throw failed(`not a directory: ${source.path}`);
  if (destination.exists && destination.isDirectory) {
    const name = source.isDirectory && meansContents(source.path) ? undefined : baseName(source.path);
    return { directory: destination.path, name };
  }
  if (destination.exists) {
    if (source.isDirectory) throw failed(`cannot copy directory ${source.path} to ${destination.path}: it is a file`);
    if (assertsDirectory(destination.path)) throw failed(`not a directory: ${destination.path}`);
  } else if (!source.isDirectory && assertsDirectory(destination.path)) {
    throw failed(`no such directory: ${destination.path}`);
  }
  return { directory: parentOf(destination.path), name: baseName(destination.path) };
}

const assertsDirectory = (path: string): boolean => /(^|\/)\.{0,2}$/.test(path);
const meansContents = (path: string): boolean => /(^|\/)\.$/.test(path);

/** The last component; `.` and `..` and the root have none of their own and stand for their contents. */
export function baseName(path: string): string | undefined {
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return name === '' || name === '.' || name === '..' ? undefined : name;
}

export function parentOf(path: string): string {
  const trimmed = path.replace(/(\/+\.?)+$/, '');
  const slash = trimmed.lastIndexOf('/');
  if (slash === -1) return '.';
  return slash === 0 ? '/' : trimmed.slice(0, slash);
}

/** One side of `cp`: a path of a container, a path here, or `-` for a tar stream. */
export type CopyPlace =
  | { readonly type: 'container'; readonly reference: string; readonly path: string }
  | { readonly type: 'local'; readonly path: string }
  | { readonly type: 'stream' };

/** `web:/etc/hosts`, `./file`, `/abs:olute`, `-`. */
export function parsePlace(word: string): CopyPlace {
  if (word === '-') return { type: 'stream' };
  const colon = word.indexOf(':');
  if (word.startsWith('/') || word.startsWith('.') || colon <= 0) return { type: 'local', path: word };
  const path = word.slice(colon + 1);
  return { type: 'container', reference: word.slice(0, colon), path: path.startsWith('/') ? path : `/${path}` };
}
