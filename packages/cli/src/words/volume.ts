import type { MountSpec } from '@tsc/engine';

import { badValue, notSupported } from '../errors.ts';
import { parseTarget } from './tmpfs.ts';

type BindMount = Extract<MountSpec, { readonly type: 'bind' }>;
export type Propagation = NonNullable<BindMount['propagation']>;

export interface VolumeWord {
  readonly mount: MountSpec;
  /** SELinux relabelling was asked for (`z`, `Z`), which means nothing on a host without SELinux. */
  readonly relabel: boolean;
}

export interface VolumeSurroundings {
  /** What a relative source starts from. */
  readonly workingDir: string;
  readonly homeDir: string;
}

export const PROPAGATIONS: ReadonlySet<string> = new Set([
  'private',
  'rprivate',
  'slave',
  'rslave',
  'shared',
  'rshared',
] satisfies Propagation[]);

/** `-v [source:]target[:options]`; a source without a slash names a volume, `.` and `./x` are of the working directory. */
export function parseVolume(word: string, surroundings: VolumeSurroundings): VolumeWord {
  const parts = word.split(':');
  if (word === '' || parts.length > 3 || parts.includes('')) throw badValue(`invalid volume specification: '${word}'`);
  const [first = '', second, third] = parts;
  const source = second === undefined ? undefined : first;
  const target = parseTarget(second ?? first, word);
  const options = third === undefined ? noOptions : parseOptions(third, word);
  return { mount: mountOf(source, target, { options, word, surroundings }), relabel: options.relabel };
}

interface Options {
  readonly readOnly: boolean;
  readonly noCopy: boolean;
  readonly relabel: boolean;
  readonly propagation: Propagation | undefined;
}
const noOptions: Options = { readOnly: false, noCopy: false, relabel: false, propagation: undefined };

/** Docker on Linux takes these and they change nothing there: they tune file sharing with a virtual machine. */
const CONSISTENCY = new Set(['consistent', 'cached', 'delegated', 'default']);

function parseOptions(text: string, word: string): Options {
  const written = text.split(',');
  const propagation = written.filter((option) => PROPAGATIONS.has(option)) as Propagation[];
  const known = (option: string): boolean =>
    PROPAGATIONS.has(option) || CONSISTENCY.has(option) || ['ro', 'rw', 'z', 'Z', 'nocopy'].includes(option);
  const unknown = written.find((option) => !known(option));
  if (unknown === 'U' || unknown === 'idmap') throw notSupported(`the volume option "${unknown}"`);
  const repeated = (written.includes('ro') && written.includes('rw')) || propagation.length > 1;
  if (unknown !== undefined || repeated) {
    throw badValue(`invalid volume specification: '${word}': invalid mode: ${text}`);
  }
  return {
    readOnly: written.includes('ro'),
    noCopy: written.includes('nocopy'),
    relabel: written.includes('z') || written.includes('Z'),
    propagation: propagation[0],
  };
}

function mountOf(
  source: string | undefined,
  target: string,
  { options, word, surroundings }: { options: Options; word: string; surroundings: VolumeSurroundings },
): MountSpec {
  const readOnly = options.readOnly ? { readOnly: true } : {};
  if (source !== undefined && /^[./~]/.test(source)) {
    if (options.noCopy) throw badValue(`invalid volume specification: '${word}': nocopy needs a volume, not a path`);
    return {
      type: 'bind',
      source: absolutePath(source, surroundings),
      target,
      createSource: true,
      ...readOnly,
      ...(options.propagation === undefined ? {} : { propagation: options.propagation }),
    };
  }
  if (options.propagation !== undefined) {
    throw badValue(`invalid volume specification: '${word}': ${options.propagation} needs a path, not a volume`);
  }
  if (source !== undefined) requireVolumeName(source);
  return { type: 'volume', ...(source === undefined ? {} : { source }), target, ...readOnly, ...noCopyOf(options) };
}

const noCopyOf = (options: Options): { noCopy?: true } => (options.noCopy ? { noCopy: true } : {});

export function requireVolumeName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) return;
  throw badValue(
    `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. ` +
      'If you intended to pass a host directory, use absolute path',
  );
}

/** Lexical: `..` and `.` are folded away, links are not followed. */
export function absolutePath(path: string, { workingDir, homeDir }: VolumeSurroundings): string {
  const full = path === '~' || path.startsWith('~/') ? homeDir + path.slice(1) : path;
  const parts: string[] = [];
  for (const part of (full.startsWith('/') ? full : `${workingDir}/${full}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}
