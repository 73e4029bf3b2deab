/**
 * File names are bytes on Linux. As text here, a byte that is not UTF-8 stands as a lone surrogate, U+DC80 to U+DCFF,
 * which no UTF-8 text has; so different names stay different, and `@tsc/sys` makes the same bytes of them again.
 *
 * @see https://peps.python.org/pep-0383/
 */
export const decodeName = (bytes: Buffer): string => {
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') && !Buffer.from(text).equals(bytes) ? decodeEscaping(bytes) : text;
};

const ESCAPE = 0xdc00;

const decodeEscaping = (bytes: Buffer): string => {
  let text = '';
  let textFrom = 0;
  for (let at = 0; at < bytes.length;) {
    const length = characterLength(bytes, at);
    if (length === 0) {
      text += bytes.toString('utf8', textFrom, at) + String.fromCharCode(ESCAPE | (bytes[at] as number));
      textFrom = at + 1;
    }
    at += Math.max(length, 1);
  }
  return text + bytes.toString('utf8', textFrom);
};

/** Bytes of the UTF-8 character at a place; 0 when there is none. */
const characterLength = (bytes: Buffer, at: number): number => {
  const lead = bytes[at] as number;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  // The second byte's range keeps out overlong forms, surrogates and what is past U+10FFFF.
  const second = bytes[at + 1] as number;
  const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let i = 2; i < length; i += 1) if (((bytes[at + i] as number) & 0xc0) !== 0x80) return 0;
  return length;
};

/** The bytes of a name that {@link decodeName} has read, or of any other. */
export const encodeName = (name: string): Buffer => {
  if (name.isWellFormed()) return Buffer.from(name);
  const parts = name.split(/([\udc80-\udcff])/u);
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.from([part.charCodeAt(0) & 0xff]))),
  );
};
