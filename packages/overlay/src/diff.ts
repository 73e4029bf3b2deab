import type { BigIntStats } from 'node:fs';

import { refusal } from './errors.ts';
import { LayerDir } from './layer-dir.ts';
import type { MarkOptions } from './whiteout.ts';

export interface OverlayChange {
  readonly type: 'added' | 'modified' | 'deleted';
  /** From the root of the mount: `/etc/hosts`. What is not UTF-8 in a name shows as U+FFFD. */
  readonly path: string;
}

export interface DiffOptions extends MarkOptions {
  /**
   * The layers below, topmost first. Without them the file system's own marks must do: what was replaced by another
   * file, instead of written to, then counts as added, and so does what lost a hard link to its origin.
   */
  readonly lowerDirs?: readonly string[] | undefined;
}

/**
 * What an upper directory changes, as `docker diff` shows it: a directory before what is in it, by name, and every
 * directory above a change as modified. Of a deleted directory only its own name is given.
 *
 * Walks by descriptors and follows no link, so the container may still be running. Each step looks at a few entries;
 * leaving the loop early closes what is open.
 *
 * @throws {@link OverlayError} `OVERLAY_DIR_MISSING`: `upperDir` or one of `lowerDirs` is no directory
 * @remarks Privilege: read access to all of it, and CAP_SYS_ADMIN to see the marks unless `userxattr`.
 * @example for (const { type, path } of diffUpper(upperDir, { lowerDirs })) report(type, path);
 */
export function* diffUpper(upperDir: string, options: DiffOptions = {}): Generator<OverlayChange, void, undefined> {
  using held = new DisposableStack();
  const open = (path: string): LayerDir => held.use(openLayer(path, options));
  const upper = open(upperDir);
  const lowers = options.lowerDirs?.map(open);
  yield* diffDirectory({ upper, lowers, hidesLowers: false, path: '', parent: undefined, announced: true });
}

/** One directory of the mount, and how far the walk has told of it. */
interface Level {
  readonly upper: LayerDir;
  /** The same directory in the layers where it shows; `undefined` when nobody told us the layers. */
  readonly lowers: readonly LayerDir[] | undefined;
  /** It was made anew in place of the lower ones: what it does not have is gone. */
  readonly hidesLowers: boolean;
  readonly path: string;
  readonly parent: Level | undefined;
  announced: boolean;
}

type Changes = Generator<OverlayChange, void, undefined>;

function* diffDirectory(level: Level): Changes {
  for (const name of level.hidesLowers ? allNames(level) : level.upper.names()) {
    const stat = level.upper.stat(name);
    if (stat === undefined || level.upper.isWhiteout(name, stat)) yield* deletion(level, name);
    else if (stat.isDirectory()) yield* directoryChanges(level, name, stat);
    else yield* change(level, existedBelow(level, name) ? 'modified' : 'added', name);
  }
}

function* deletion(level: Level, name: string): Changes {
  if (level.lowers === undefined || statBelow(level.lowers, name) !== undefined) yield* change(level, 'deleted', name);
}

function* directoryChanges(level: Level, name: string, stat: BigIntStats): Changes {
  using held = new DisposableStack();
  const opened = level.upper.openDir(name);
  if (opened === undefined) return;
  const upper = held.use(opened);
  const below = level.lowers && statBelow(level.lowers, name);
  const existed = level.lowers === undefined ? level.upper.hasOrigin(name) : below !== undefined;
  const lowers = existed ? level.lowers && openBelow(level.lowers, name, held) : [];
  const hidesLowers = level.hidesLowers || upper.opacity === 'y';
  const child: Level = { upper, lowers, hidesLowers, path: pathOf(level, name), parent: level, announced: false };
  if (!existed) {
    yield* change(level, 'added', name);
    child.announced = true;
  } else if (below === undefined || hidesLowers || isChangedDirectory(stat, below)) {
    yield* announce(child);
  }
  yield* diffDirectory(child);
}

/** A directory is copied up before anything in it is, which does not change it. */
const isChangedDirectory = (stat: BigIntStats, below: BigIntStats): boolean =>
  stat.mode !== below.mode || stat.uid !== below.uid || stat.gid !== below.gid || stat.mtimeNs !== below.mtimeNs;

function* change(level: Level, type: OverlayChange['type'], name: string): Changes {
  yield* announce(level);
  yield { type, path: pathOf(level, name) };
}

/** Tells of the directories above a change, once. */
function* announce(level: Level): Changes {
  if (level.announced) return;
  level.announced = true;
  if (level.parent !== undefined) yield* announce(level.parent);
  yield { type: 'modified', path: level.path };
}

const existedBelow = ({ lowers, upper }: Level, name: string): boolean =>
  lowers === undefined ? upper.hasOrigin(name) : statBelow(lowers, name) !== undefined;

/** The entry that shows through, from the topmost layer that says anything about it. */
function statBelow(lowers: readonly LayerDir[], name: string): BigIntStats | undefined {
  for (const lower of lowers) {
    const stat = lower.stat(name);
    if (stat !== undefined) return lower.isWhiteout(name, stat) ? undefined : stat;
  }
  return undefined;
}

/** The directories that are merged under this name: down to the first that is something else, or opaque. */
function openBelow(lowers: readonly LayerDir[], name: string, held: DisposableStack): LayerDir[] {
  const merged: LayerDir[] = [];
  for (const lower of lowers) {
    const stat = lower.stat(name);
    if (stat === undefined) continue;
    const opened = stat.isDirectory() ? lower.openDir(name) : undefined;
    if (opened === undefined) break;
    merged.push(held.use(opened));
    if (opened.opacity === 'y') break;
  }
  return merged;
}

const allNames = ({ upper, lowers = [] }: Level): string[] =>
  [...new Set([upper, ...lowers].flatMap((dir) => dir.names()))].sort((a, b) => (a < b ? -1 : Number(a > b)));

const pathOf = ({ path }: Level, name: string): string => `${path}/${Buffer.from(name, 'latin1').toString()}`;

function openLayer(path: string, options: MarkOptions): LayerDir {
  try {
    return LayerDir.openTop(path, options);
  } catch (cause) {
    throw refusal('cannot read a layer', path, cause);
  }
}
