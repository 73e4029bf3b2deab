import type { Descriptor } from '../descriptor.ts';
import { parseIndex } from '../manifest.ts';
import { OCI_INDEX } from '../media-types.ts';

/** `index.json` grows with every name. */
export const INDEX_MAX_BYTES: number = 64 * 1024 ** 2;

export const EMPTY_LAYOUT_INDEX: string = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });

/** A layout's index: its lines as we understand them, and as they are written. */
export interface IndexDocument {
  readonly lines: readonly Descriptor[];
  /** The document with other lines; those taken from `lines` stay as they were written, known to us or not. */
  withLines(lines: readonly Descriptor[]): string;
}

/** @throws {@link ImageError} `DOCUMENT_INVALID` */
export const parseIndexDocument = (bytes: Buffer, where: string): IndexDocument => {
  const lines = parseIndex(bytes, where, INDEX_MAX_BYTES).manifests;
  const document = JSON.parse(bytes.toString()) as { readonly manifests: readonly unknown[] };
  const asWritten = new Map<Descriptor, unknown>(lines.map((line, i) => [line, document.manifests[i]]));
  return {
    lines,
    withLines: (after) => JSON.stringify({ ...document, manifests: after.map((line) => asWritten.get(line) ?? line) }),
  };
};
