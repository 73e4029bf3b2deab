import { closeSync, constants, lstatSync, openSync, readdirSync, type BigIntStats } from 'node:fs';

import { hasCode } from '@tsc/sys';

import { hasOrigin, isMarkedWhiteout, isWhiteout, opacityOf, type MarkOptions } from './whiteout.ts';

const O_DIRECTORY_NOFOLLOW = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * One directory of a layer, held by a descriptor, so that whoever changes the tree meanwhile cannot lead us elsewhere.
 * Names are their bytes, one character each (`latin1`): not every file name is UTF-8.
 */
export class LayerDir {
  readonly #fd: number;
  readonly #options: MarkOptions;
  /** See {@link opacityOf}. */
  readonly opacity: string | undefined;

  private constructor(fd: number, options: MarkOptions) {
    this.#fd = fd;
    this.#options = options;
    this.opacity = opacityOf(fd, options);
  }

  /** The top of a layer; the caller's path may lead through links. */
  static openTop(path: string, options: MarkOptions): LayerDir {
    return new LayerDir(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY), options);
  }

  /** `undefined` where there is no directory of that name. */
  openDir(name: string): LayerDir | undefined {
    const fd = absentAsUndefined(() => openSync(this.#path(name), O_DIRECTORY_NOFOLLOW));
    return fd === undefined ? undefined : new LayerDir(fd, this.#options);
  }

  names(): string[] {
    return readdirSync(`/proc/self/fd/${this.#fd}`, { encoding: 'latin1' }).sort(byCodeUnit);
  }

  stat(name: string): BigIntStats | undefined {
    return absentAsUndefined(() => lstatSync(this.#path(name), { bigint: true }));
  }

  isWhiteout(name: string, stat: BigIntStats): boolean {
    if (isWhiteout(stat)) return true;
    const mayBeMarked = this.opacity === 'x' && stat.isFile() && stat.size === 0n;
    return mayBeMarked && isMarkedWhiteout(this.#path(name).toString(), this.#options);
  }

  hasOrigin(name: string): boolean {
    return hasOrigin(this.#path(name).toString(), this.#options);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #path(name: string): Buffer {
    return Buffer.from(`/proc/self/fd/${this.#fd}/${name}`, 'latin1');
  }
}

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** A running container changes what we walk through: what is gone, or is something else by now, is not there. */
function absentAsUndefined<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}
