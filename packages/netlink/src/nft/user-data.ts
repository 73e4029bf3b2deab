/** What `nft` keeps beside rules and sets: records of a type byte, a length byte and data. The kernel only stores it. */

const RULE_COMMENT = 0;
const SET_KEY_BYTE_ORDER = 0;
const HOST_BYTE_ORDER = 1;

const record = (type: number, data: Uint8Array): Buffer => Buffer.concat([Buffer.of(type, data.length), data]);

export const encodeComment = (comment: string): Buffer => record(RULE_COMMENT, Buffer.from(`${comment}\0`));

/** Tells `nft` to read keys as strings: names are host-endian integers to it otherwise the wrong way round. */
export const encodeHostByteOrder = (): Buffer => record(SET_KEY_BYTE_ORDER, Buffer.of(HOST_BYTE_ORDER, 0, 0, 0));

export const decodeComment = (userData: Buffer): string | undefined => {
  for (let offset = 0; offset + 2 <= userData.length;) {
    const end = offset + 2 + userData.readUInt8(offset + 1);
    if (userData.readUInt8(offset) === RULE_COMMENT) return userData.toString('utf8', offset + 2, end - 1);
    offset = end;
  }
  return undefined;
};
