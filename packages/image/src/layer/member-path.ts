import { splitPath } from './directory-tree.ts';
import { classifyName, WHITEOUT_PREFIX, type LayerName } from './whiteout.ts';

/** Where a member goes, by its name. */
export interface MemberPath {
  /** The directory's components, none being the root, and all of them again in one. */
  readonly dirs: readonly string[];
  readonly dirPath: string;
  /** None for the root itself. */
  readonly name: string | undefined;
  readonly meaning: LayerName;
}

const PLAIN: LayerName = { type: 'plain' };

const isPlainName = (name: string): boolean =>
  name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.startsWith(WHITEOUT_PREFIX);

/** Reads the names of an archive's members, which mostly are in the directory of the member before. */
export class MemberPaths {
  readonly #isLayer: boolean;
  /** Where the last one was, and what its name had before its last component. */
  #last: { readonly prefix: string; readonly dirs: readonly string[]; readonly dirPath: string } | undefined;

  /** @param isLayer - whether whiteouts mean something */
  constructor(isLayer: boolean) {
    this.#isLayer = isLayer;
  }

  /** @throws {@link ImageError} `LAYER_UNSAFE`, `LAYER_LIMIT` */
  read(path: string): MemberPath {
    const last = this.#last;
    if (last !== undefined && path.startsWith(last.prefix)) {
      const name = path.slice(last.prefix.length);
      if (isPlainName(name)) return { dirs: last.dirs, dirPath: last.dirPath, name, meaning: PLAIN };
    }
    const parts = splitPath(path);
    const meaning = this.#isLayer ? classifyName(parts) : PLAIN;
    const [name, dirs] = [parts.at(-1), parts.slice(0, -1)];
    const dirPath = dirs.join('/');
    if (name !== undefined && meaning.type === 'plain' && path.endsWith(name))
      this.#last = { prefix: path.slice(0, path.length - name.length), dirs, dirPath };
    return { dirs, dirPath, name, meaning };
  }
}
