import { DOCKER_MANIFEST, parseIndex, parseReference } from '@tsc/image';
import type { Descriptor } from '@tsc/image';

import { failed } from '../errors.ts';
import type { ListEntry } from './entry.ts';

/** The members of a file that Docker writes, and the list that it belongs to, which Docker doesn't read. */
interface EntryFile {
  readonly Ref?: unknown;
  readonly Descriptor?: unknown;
  readonly Raw?: unknown;
  readonly List?: unknown;
}

/** A line of a list as Docker shows and keeps it. */
export function describeEntry({ reference, descriptor, bytes }: ListEntry): Readonly<Record<string, unknown>> {
  const kind = descriptor.mediaType === DOCKER_MANIFEST ? 'SchemaV2Manifest' : 'OCIManifest';
  return {
    Ref: reference,
    Descriptor: descriptor,
    ...(bytes === undefined
      ? {}
      : { Raw: bytes.toString('base64'), [kind]: JSON.parse(bytes.toString('utf8')) as unknown }),
  };
}

/** `list` is kept too, because the names of files are ambiguous: those of `app:1-2` and `app-1:2` are the same. */
export const encodeEntry = (list: string, entry: ListEntry): string =>
  `${JSON.stringify({ ...describeEntry(entry), List: list })}\n`;

/** @throws CliError `CLI_FAILED`: the file is damaged, or belongs to another list */
export function decodeEntry(list: string, text: string, file: string): ListEntry {
  const entry = parse(text, file);
  if (typeof entry.Ref !== 'string') throw damaged(file, 'it has no Ref');
  if (typeof entry.List === 'string' && entry.List !== list) {
    throw failed(`${file} belongs to the manifest list ${entry.List}, whose name is the same where files are named`);
  }
  parseReference(entry.Ref);
  const bytes = typeof entry.Raw === 'string' ? Buffer.from(entry.Raw, 'base64') : undefined;
  return { reference: entry.Ref, descriptor: readDescriptor(entry.Descriptor, file), bytes };
}

function parse(text: string, file: string): EntryFile {
  try {
    return JSON.parse(text) as EntryFile;
  } catch (error) {
    throw damaged(file, 'it is no JSON', error);
  }
}

/** A descriptor is what an index has lines of, and is checked as one. */
function readDescriptor(value: unknown, file: string): Descriptor {
  const [line] = parseIndex(Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [value] })), file).manifests;
  if (line === undefined) throw damaged(file, 'it has no Descriptor');
  return line;
}

const damaged = (file: string, why: string, cause?: unknown): Error =>
  failed(`${file} is not a line of a manifest list: ${why}`, cause);
