import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { failed } from '../errors.ts';
import { codeOf } from '../failure.ts';
import type { ListEntry } from './entry.ts';
import { decodeEntry, encodeEntry } from './file.ts';

/**
 * The manifest lists that a user is making: a directory for each list, a file for each of its lines. Place, names and
 * form are those of Docker's client, which can go on with a list that was begun here, and the other way round.
 */
export class ListStore {
  readonly #rootDir: string;

  constructor(rootDir: string) {
    this.#rootDir = rootDir;
  }

  /** The lines of a list, in the order of their files' names; `undefined` when there is no such list. */
  read(list: string): readonly ListEntry[] | undefined {
    const dir = this.#dirOf(list);
    const names = unlessMissing(() => readdirSync(dir));
    return names
      ?.filter((name) => !name.startsWith('.'))
      .sort()
      .map((name) => decodeEntry(list, readFileSync(join(dir, name), 'utf8'), join(dir, name)));
  }

  /** One line of a list. */
  find(list: string, reference: string): ListEntry | undefined {
    return this.read(list)?.find((entry) => entry.reference === reference);
  }

  /** Adds a line, or replaces the one for the same manifest. */
  save(list: string, entry: ListEntry): void {
    const dir = this.#dirOf(list);
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    const name = fileName(entry.reference);
    const beside = join(dir, `.${name}.${String(process.pid)}`);
    try {
      writeFileSync(beside, encodeEntry(list, entry), { mode: 0o644 });
      renameSync(beside, join(dir, name));
    } catch (error) {
      rmSync(beside, { force: true });
      throw error;
    }
  }

  remove(list: string): void {
    rmSync(this.#dirOf(list), { recursive: true, force: true });
  }

  #dirOf(list: string): string {
    return join(this.#rootDir, fileName(list));
  }
}

const fileName = (reference: string): string => reference.replaceAll(':', '-').replaceAll('/', '_');

function unlessMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The lists of whoever calls: beside the file in which `login` keeps credentials. */
export const openListStore = (): ListStore =>
  new ListStore(join(process.env['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'manifests'));

export const noSuchList = (list: string): Error => failed(`no such manifest: ${list}`);
