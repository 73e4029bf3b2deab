import { Header } from 'tar/header';

import { formatPax } from '../src/tar/pax.ts';

/** A member as a test writes it, hostile or not; nothing is checked. */
export interface Member {
  readonly name: string;
  /** The type flag; a file when absent. */
  readonly type?: string;
  readonly linkName?: string;
  readonly content?: string;
  /** When the header should claim another size than the content has. */
  readonly size?: number;
  readonly mode?: number;
  readonly pax?: Readonly<Record<string, string>>;
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);

const blocksOf = ({ name, type = '0', linkName = '', content = '', size, mode = 0o644, pax }: Member): Buffer => {
  const bytes = Buffer.from(content);
  const long = Buffer.byteLength(name) > 100 ? { path: name, ...pax } : pax;
  const extension =
    long === undefined
      ? Buffer.alloc(0)
      : blocksOf({ name: 'pax', type: 'x', content: formatPax(new Map(Object.entries(long))).toString() });
  const block = Buffer.alloc(512);
  const header = new Header({
    path: name.slice(0, 100),
    linkpath: linkName,
    mode,
    uid: 0,
    gid: 0,
    size: size ?? bytes.length,
    mtime: new Date(0),
  });
  header.encode(block);
  block.write(type, 156, 'latin1');
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([extension, block, padded(bytes)]);
};

export const tarOf = (members: readonly Member[]): Buffer =>
  Buffer.concat([...members.map(blocksOf), Buffer.alloc(1024)]);
