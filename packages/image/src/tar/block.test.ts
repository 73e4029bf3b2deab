import { describe, expect, it } from '@jest/globals';
import { Header } from 'tar/header';

import { decodeBlock, isZeroBlock } from './block.ts';
import { formatPax, parsePax, paxXattrKey, paxXattrs } from './pax.ts';

/** A header as node-tar writes it. */
const header = (fields: { readonly uid?: number; readonly gid?: number; readonly size?: number } = {}): Buffer => {
  const block = Buffer.alloc(512);
  new Header({ path: 'name', mode: 0o644, uid: 1, gid: 2, size: 3, mtime: new Date(4000), ...fields }).encode(block);
  return block;
};

/** Bytes put into a header, and the checksum made to fit: of unsigned bytes, or of signed ones. */
const patched = (at: number, bytes: Buffer, signed: boolean = false): Buffer => {
  const block = header();
  bytes.copy(block, at);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + (signed && byte > 127 ? byte - 256 : byte), 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
};

const MTIME = 136;

describe('decodeBlock', () => {
  it('reads what node-tar writes', () => {
    expect(decodeBlock(header())).toEqual({
      typeFlag: '0',
      name: 'name',
      linkName: '',
      mode: 0o644,
      uid: 1,
      gid: 2,
      size: 3,
      mtimeNs: 4_000_000_000n,
      devMajor: 0,
      devMinor: 0,
    });
    const large = { uid: 0o7777777 + 1, gid: 2 ** 31, size: 2 ** 40 };
    expect(decodeBlock(header(large))).toMatchObject(large);
  });

  it.each([
    ['000000000017', 15n],
    ['         17 ', 15n],
    ['17\0garbage!', 15n],
    ['            ', 0n],
    ['\0'.repeat(12), 0n],
    ['777777777777', 0o777777777777n],
  ])('reads the number %j', (text, seconds) => {
    expect(decodeBlock(patched(MTIME, Buffer.from(text))).mtimeNs).toBe(seconds * 1_000_000_000n);
  });

  it.each([
    ['800000000000000000000001', 1n],
    ['ffffffffffffffffffffffff', -1n],
    ['fffffffffffffffffed5d000', -19_542_016n],
  ])('reads the binary number %s', (hex, seconds) => {
    expect(decodeBlock(patched(MTIME, Buffer.from(hex, 'hex'))).mtimeNs).toBe(seconds * 1_000_000_000n);
  });

  it.each([
    ['letters', patched(MTIME, Buffer.from('00000000abc0'))],
    ['more than a number holds', patched(MTIME, Buffer.from('80ffffffffffffffffffffff', 'hex'))],
    ['a negative size', patched(124, Buffer.from('ffffffffffffffffffffffff', 'hex'))],
    ['a checksum that lies', header().fill('x', 0, 1)],
  ])('refuses %s', (_name, block) => {
    expect(() => decodeBlock(block)).toThrow(expect.objectContaining({ code: 'LAYER_INVALID' }));
  });

  it('takes the sums of signed bytes that old programs made, and names in any bytes', () => {
    expect(decodeBlock(patched(0, Buffer.from([0xe4, 0x61]), true)).name).toBe('\udce4ame');
  });

  it('tells the end', () => {
    expect([isZeroBlock(Buffer.alloc(512)), isZeroBlock(header())]).toEqual([true, false]);
  });
});

describe('PAX records', () => {
  it('keep keys and values of any bytes', () => {
    const xattrs = new Map([
      ['user.a=b', Buffer.from([0, 10, 61, 255])],
      ['user.50%', Buffer.alloc(0)],
      ['user.%3D', Buffer.from('x')],
      ['user.\udcff', Buffer.from('y')],
    ]);
    const records = new Map([...xattrs].map(([name, value]) => [paxXattrKey(name), value]));
    expect(paxXattrs(parsePax(formatPax(records)))).toEqual(xattrs);
  });
});
