/**
 * The data types of sets that we use: length in bytes and the number by which the `nft` program knows the type (the
 * kernel only stores it). Integers of types other than these go by their length alone.
 */
const dataTypes = {
  ipv4_addr: { id: 7, length: 4 },
  inet_proto: { id: 12, length: 1 },
  inet_service: { id: 13, length: 2 },
  ifname: { id: 41, length: 16 },
} as const;

export type NftDataType = keyof typeof dataTypes;

/** Each field of a concatenation begins at a register of four bytes. */
const padded = (length: number): number => (length + 3) & ~3;

/** The number of a concatenation: six bits per field. */
export const dataTypeId = (types: readonly NftDataType[]): number =>
  types.reduce((id, type) => id * 64 + dataTypes[type].id, 0);

/** The types whose concatenation has this number; undefined when we do not know one of them. */
export const dataTypesOfId = (id: number): readonly NftDataType[] | undefined => {
  const types: NftDataType[] = [];
  for (let rest = id; rest > 0; rest = Math.floor(rest / 64)) {
    const found = Object.entries(dataTypes).find(([, type]) => type.id === rest % 64);
    if (found === undefined) return undefined;
    types.unshift(found[0] as NftDataType);
  }
  return types;
};

/** The padded length of each field. */
export const fieldLengths = (types: readonly NftDataType[]): readonly number[] =>
  types.map((type) => padded(dataTypes[type].length));

/** The length of a key or a datum of these types. A lone field is not padded. */
export const dataLength = (types: readonly NftDataType[]): number => {
  const [only] = types;
  if (only !== undefined && types.length === 1) return dataTypes[only].length;
  return fieldLengths(types).reduce((sum, length) => sum + length, 0);
};

/** Joins fields into one key, each padded to whole registers. */
export const concatenate = (fields: readonly Uint8Array[]): Buffer => {
  const lengths = fields.map((field) => padded(field.byteLength));
  const target = Buffer.alloc(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  fields.forEach((field, index) => {
    target.set(field, offset);
    offset += lengths[index] ?? 0;
  });
  return target;
};

/** An interface's name as `ifname` wants it: 16 bytes, filled up with NULs. */
export const ifnameBytes = (name: string): Buffer => {
  const data = Buffer.alloc(dataTypes.ifname.length);
  data.write(name, 'utf8');
  return data;
};
