/** The flag the kernel wants on attributes that hold attributes (`NLA_F_NESTED`). */
const NESTED = 0x8000;
const BYTE_ORDER = 0x4000;
const HEADER_BYTES = 4;

/**
 * One netlink attribute to send: a type number and either bytes or attributes.
 *
 * @see https://docs.kernel.org/userspace-api/netlink/intro.html
 */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array | readonly Attribute[];
}

/** One attribute as received. Whether its bytes are attributes again is for the reader to know. */
export interface ReceivedAttribute {
  readonly type: number;
  readonly nested: boolean;
  readonly data: Buffer;
}

export const align4 = (length: number): number => (length + 3) & ~3;

const numberAttribute = (type: number, size: number, write: (bytes: Buffer) => void): Attribute => {
  const value = Buffer.alloc(size);
  write(value);
  return { type, value };
};

export const u8 = (type: number, value: number): Attribute => numberAttribute(type, 1, (b) => b.writeUInt8(value));
/** A 16-bit number in network byte order. */
export const be16 = (type: number, value: number): Attribute => numberAttribute(type, 2, (b) => b.writeUInt16BE(value));
/** A 32-bit number in the host's byte order, as rtnetlink has them (little-endian on every platform we build for). */
export const u32 = (type: number, value: number): Attribute => numberAttribute(type, 4, (b) => b.writeUInt32LE(value));
/** A 32-bit number in network byte order, as nf_tables has them; negative numbers in two's complement. */
export const be32 = (type: number, value: number): Attribute =>
  numberAttribute(type, 4, (b) => b.writeUInt32BE(value >>> 0));
export const be64 = (type: number, value: bigint): Attribute =>
  numberAttribute(type, 8, (b) => b.writeBigUInt64BE(value));
/** A string with its terminating NUL. */
export const text = (type: number, value: string): Attribute => ({ type, value: Buffer.from(`${value}\0`) });
export const bytes = (type: number, value: Uint8Array): Attribute => ({ type, value });
export const nest = (type: number, value: readonly Attribute[]): Attribute => ({ type, value });

const isNested = (value: Attribute['value']): value is readonly Attribute[] => Array.isArray(value);

const valueLength = (value: Attribute['value']): number =>
  isNested(value) ? attributesLength(value) : value.byteLength;

/** The bytes that the attributes take, padding included. */
export function attributesLength(attributes: readonly Attribute[]): number {
  return attributes.reduce((sum, { value }) => sum + HEADER_BYTES + align4(valueLength(value)), 0);
}

/** Writes the attributes into `target`, which must be zeroed, from `offset`; returns the offset behind them. */
export function writeAttributes(target: Buffer, start: number, attributes: readonly Attribute[]): number {
  let offset = start;
  for (const { type, value } of attributes) {
    const length = HEADER_BYTES + valueLength(value);
    if (length > 0xffff) throw new RangeError(`netlink attribute ${String(type)} is longer than 65535 bytes`);
    target.writeUInt16LE(length, offset);
    target.writeUInt16LE(isNested(value) ? type | NESTED : type, offset + 2);
    if (isNested(value)) writeAttributes(target, offset + HEADER_BYTES, value);
    else target.set(value, offset + HEADER_BYTES);
    offset += align4(length);
  }
  return offset;
}

export const encodeAttributes = (attributes: readonly Attribute[]): Buffer => {
  const target = Buffer.alloc(attributesLength(attributes));
  writeAttributes(target, 0, attributes);
  return target;
};

/** Reads a run of attributes. Bytes behind the last whole attribute are padding and left out, as the kernel does. */
export const decodeAttributes = (data: Buffer): readonly ReceivedAttribute[] => {
  const attributes: ReceivedAttribute[] = [];
  for (let offset = 0; offset + HEADER_BYTES <= data.length;) {
    const length = data.readUInt16LE(offset);
    if (length < HEADER_BYTES || offset + length > data.length) break;
    const type = data.readUInt16LE(offset + 2);
    attributes.push({
      type: type & ~(NESTED | BYTE_ORDER),
      nested: (type & NESTED) !== 0,
      data: data.subarray(offset + HEADER_BYTES, offset + length),
    });
    offset += align4(length);
  }
  return attributes;
};

/** The attributes by type; of a type that comes twice, the last. */
export const decodeAttributeMap = (data: Buffer): ReadonlyMap<number, Buffer> =>
  new Map(decodeAttributes(data).map((attribute) => [attribute.type, attribute.data]));

/** The text of a string attribute, up to its NUL. */
export const readText = (data: Buffer): string => {
  const end = data.indexOf(0);
  return data.toString('utf8', 0, end === -1 ? data.length : end);
};
