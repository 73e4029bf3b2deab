import { formatPlatform, formatReference } from '@tsc/image';
import type { Descriptor, Reference } from '@tsc/image';

const INDENT = '  ';

/** What `imagetools inspect` prints of an image or an index, and of the index's members. */
export function formatDetails(
  reference: Reference,
  descriptor: Descriptor,
  members: readonly Descriptor[] | undefined,
): string {
  const head = alignCells([
    ['Name:', formatReference(reference)],
    ['MediaType:', descriptor.mediaType],
    ['Digest:', descriptor.digest],
  ]);
  if (members === undefined) return head;
  return (
    head +
    alignCells([
      ['', ''],
      ['Manifests:', ''],
    ]) +
    formatMembers(reference, members)
  );
}

type Cells = readonly [label: string, value: string];

function formatMembers(reference: Reference, members: readonly Descriptor[]): string {
  let text = '';
  let block: Cells[] = [];
  for (const [i, member] of members.entries()) {
    if (i > 0) block.push(['', '']);
    block.push(...memberCells(reference, member));
    const annotations = Object.entries(member.annotations ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    if (annotations.length === 0) continue;
    block.push([`${INDENT}Annotations:`, '']);
    // What comes below a heading is aligned by itself.
    text += alignCells(block) + alignCells(annotations.map(([key, value]) => [`${INDENT}${INDENT}${key}:`, value]));
    block = [];
  }
  return text + alignCells(block);
}

function memberCells(reference: Reference, { mediaType, digest, platform, urls = [] }: Descriptor): readonly Cells[] {
  const features = platform?.['os.features'] ?? [];
  const version = platform?.['os.version'] ?? '';
  const cells: readonly Cells[] = [
    ['Name:', formatReference({ ...reference, digest })],
    ['MediaType:', mediaType],
    ['Platform:', platform === undefined ? '' : formatPlatform(platform)],
    ['OSVersion:', version],
    ['OSFeatures:', features.join(', ')],
    ['URLs:', urls.join(', ')],
  ];
  return cells.filter(([, value]) => value !== '').map(([label, value]) => [INDENT + label, value]);
}

/** Two columns with one space between them, as Go's tabwriter makes them. */
function alignCells(cells: readonly Cells[]): string {
  const width = Math.max(0, ...cells.map(([label]) => Array.from(label).length)) + 1;
  return cells.map(([label, value]) => `${label.padEnd(width)}${value}\n`).join('');
}
