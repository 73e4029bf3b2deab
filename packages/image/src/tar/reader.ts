import { ImageError, quote } from '../errors.ts';
import { BLOCK, decodeBlock, decodeTypeAndSize, isZeroBlock, type Block } from './block.ts';
import {
  DEFAULT_TAR_LIMITS,
  type Extent,
  type TarEntry,
  type TarEntryType,
  type TarLimits,
  type TarSink,
} from './entry.ts';
import { decodeName } from './name.ts';
import { parsePax, paxInteger, paxText, paxTimeNs, paxXattrs, type PaxRecords } from './pax.ts';
import {
  checkExtents,
  pairExtents,
  parseSparseHead,
  parseSparseList,
  readOldSparse,
  readOldSparseExtension,
} from './sparse.ts';

const TYPES: ReadonlyMap<string, TarEntryType> = new Map([
  ['0', 'file'],
  ['\0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character'],
  ['4', 'block'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);
const NO_RECORDS: PaxRecords = new Map();

const invalid = (why: string): ImageError => new ImageError('LAYER_INVALID', `invalid tar archive: ${why}`);
const limit = (why: string): ImageError => new ImageError('LAYER_LIMIT', `tar archive refused: ${why}`);

/** Size and runs of a sparse file. */
interface SparseMap {
  readonly size: number;
  readonly extents: readonly Extent[];
}

/** A member whose header is not read to its end yet. */
type Draft = { -readonly [K in keyof TarEntry]: TarEntry[K] };

/** What the next bytes are; with `entry` and `end` none: the sink has not heard yet that a member begins, or ends. */
type State = 'header' | 'extension' | 'oldSparse' | 'sparseHead' | 'entry' | 'data' | 'end' | 'padding' | 'ended';

/**
 * Takes a tar archive in pieces of any size and hands its members to a sink. Understands ustar, PAX, GNU and old
 * headers. Ends at two zero blocks, as Go's reader does; what follows is no member.
 *
 * node-tar's own parser is not used because it drops extended attributes, sparse files and nanoseconds.
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #limits: TarLimits;
  #state: State = 'header';
  /** What the sink's last call returned, until it is waited for. */
  #waiting: unknown;
  #want: number = BLOCK;
  #parts: Buffer[] = [];
  #have = 0;
  #zeroBlocks = 0;
  #entries = 0;
  #contentBytes = 0;

  #extensionFlag = '';
  #extensionSize = 0;
  #pax: PaxRecords = NO_RECORDS;
  #longName: string | undefined;
  #longLink: string | undefined;

  #block: Block | undefined;
  #entry: Draft | undefined;
  #sparseNumbers: number[] = [];
  #sparseHead: Buffer = Buffer.alloc(0);
  #sparseSize = 0;
  /** Stored bytes still to come, then the bytes to the next block. */
  #remaining = 0;
  #padding = 0;
  #extents: readonly Extent[] = [];
  #extent = 0;
  #offset = 0;

  constructor(sink: TarSink, limits: Partial<TarLimits> = {}) {
    this.#sink = sink;
    this.#limits = { ...DEFAULT_TAR_LIMITS, ...limits };
  }

  /** Bytes of files met so far, holes and headers not counted. */
  get contentBytes(): number {
    return this.#contentBytes;
  }

  /** Resolves when the sink has taken what is in these bytes. */
  async write(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length && this.#state !== 'ended';) {
      at += this.#read(chunk, at);
      // A promise for every member, waited for or not, would be most of what reading an archive costs.
      if (this.#waiting !== undefined) await this.#taken();
      if (this.#state === 'entry') this.#announce();
      if (this.#waiting !== undefined) await this.#taken();
      if (this.#state === 'end') this.#finish();
      if (this.#waiting !== undefined) await this.#taken();
    }
  }

  /** Call at the end of the bytes. @throws {@link ImageError} `LAYER_INVALID`: the archive was cut */
  end(): void {
    const atHeader = this.#state === 'header' && this.#have === 0 && this.#extensionFlag === '';
    // umoci's `insert` writes no archive's end, nor what would fill the last file's block: nothing is missing.
    if (this.#state !== 'ended' && this.#state !== 'padding' && !atHeader)
      throw invalid('it ends in the middle of a member');
  }

  /** Reads on in a chunk, and says how many bytes that took. What the sink wants to be waited for is in `#waiting`. */
  #read(chunk: Buffer, at: number): number {
    if (this.#state === 'data') return this.#data(chunk, at);
    if (this.#state === 'padding') return this.#skip(Math.min(this.#padding, chunk.length - at));
    return this.#collect(chunk.subarray(at, at + this.#want - this.#have));
  }

  async #taken(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    await waiting;
  }

  #collect(piece: Buffer): number {
    this.#have += piece.length;
    if (this.#have < this.#want) {
      // Whoever wrote the chunk may reuse it.
      this.#parts.push(Buffer.from(piece));
      return piece.length;
    }
    const whole = this.#parts.length === 0 ? piece : Buffer.concat([...this.#parts, piece]);
    this.#parts = [];
    this.#have = 0;
    this.#collected(whole);
    return piece.length;
  }

  #collected(bytes: Buffer): void {
    if (this.#state === 'header') this.#header(bytes);
    else if (this.#state === 'extension') this.#extension(bytes);
    else if (this.#state === 'oldSparse') this.#oldSparse(bytes);
    else this.#sparseHeadBlock(bytes);
  }

  #header(bytes: Buffer): void {
    if (isZeroBlock(bytes)) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) this.#state = 'ended';
      return;
    }
    // A lone zero block ends the archive for some readers and not for others.
    if (this.#zeroBlocks > 0) throw invalid('a member follows a zero block');
    this.#entries += 1;
    if (this.#entries > this.#limits.maxEntries) throw limit(`more than ${String(this.#limits.maxEntries)} members`);
    const flag = String.fromCharCode(bytes[156] ?? 0);
    if ('xgLK'.includes(flag)) this.#beginExtension(decodeTypeAndSize(bytes));
    else if (flag === 'S') this.#beginOldSparse(decodeBlock(bytes), bytes);
    else this.#begin(decodeBlock(bytes));
  }

  #beginExtension({ typeFlag, size }: Pick<Block, 'typeFlag' | 'size'>): void {
    if (size > this.#limits.maxHeaderBytes) {
      throw limit(`an extension header of ${String(size)} bytes; at most ${String(this.#limits.maxHeaderBytes)}`);
    }
    this.#extensionFlag = typeFlag;
    this.#extensionSize = size;
    this.#expect('extension', Math.ceil(size / BLOCK) * BLOCK);
    if (size === 0) this.#extension(Buffer.alloc(0));
  }

  #extension(padded: Buffer): void {
    // A copy: the records outlive the chunk.
    const bytes = Buffer.from(padded.subarray(0, this.#extensionSize));
    if (this.#extensionFlag === 'x') this.#pax = parsePax(bytes);
    else if (this.#extensionFlag === 'L') this.#longName = longText(bytes);
    else if (this.#extensionFlag === 'K') this.#longLink = longText(bytes);
    // A global header holds a comment in practice (git archive); Go's reader, and so every engine, ignores it.
    if (this.#extensionFlag === 'g') this.#extensionFlag = '';
    this.#expect('header', BLOCK);
  }

  #beginOldSparse(block: Block, bytes: Buffer): void {
    const { numbers, extended, size } = readOldSparse(bytes);
    this.#block = block;
    this.#sparseNumbers = [...numbers];
    this.#sparseSize = size;
    if (extended) this.#expect('oldSparse', BLOCK);
    else this.#begin(block, { size, extents: pairExtents(numbers) });
  }

  #oldSparse(bytes: Buffer): void {
    const { numbers, extended } = readOldSparseExtension(bytes);
    this.#sparseNumbers.push(...numbers);
    if (this.#sparseNumbers.length > this.#limits.maxExtents * 2) {
      throw limit(`a sparse file has more than ${String(this.#limits.maxExtents)} extents`);
    }
    if (!extended)
      this.#begin(this.#block as Block, { size: this.#sparseSize, extents: pairExtents(this.#sparseNumbers) });
  }

  #begin(block: Block, sparse?: SparseMap): void {
    const storedBytes = paxInteger(this.#pax, 'size') ?? block.size;
    const named = this.#named(block);
    const hasData = named.type === 'file';
    this.#remaining = hasData ? storedBytes : 0;
    this.#padding = (BLOCK - (this.#remaining % BLOCK)) % BLOCK;
    this.#contentBytes += this.#remaining;
    if (this.#contentBytes > this.#limits.maxContentBytes) {
      throw limit(`more than ${String(this.#limits.maxContentBytes)} bytes of files`);
    }
    if (hasData && this.#pax.get('GNU.sparse.major')?.toString() === '1') {
      this.#entry = named;
      this.#sparseHead = Buffer.alloc(0);
      this.#expect('sparseHead', BLOCK);
      return;
    }
    const list = hasData ? this.#pax.get('GNU.sparse.map')?.toString('latin1') : undefined;
    const map = sparse ?? (list === undefined ? undefined : this.#paxSparse(parseSparseList(list)));
    this.#start(named, map);
  }

  #paxSparse(extents: readonly Extent[]): SparseMap {
    if (extents.length > this.#limits.maxExtents)
      throw limit(`a sparse file has more than ${String(this.#limits.maxExtents)} extents`);
    const size = paxInteger(this.#pax, 'GNU.sparse.realsize') ?? paxInteger(this.#pax, 'GNU.sparse.size');
    if (size === undefined) throw invalid('a sparse file has no size');
    return { size, extents };
  }

  #sparseHeadBlock(bytes: Buffer): void {
    this.#sparseHead = Buffer.concat([this.#sparseHead, bytes]);
    this.#remaining -= BLOCK;
    if (this.#remaining < 0) throw invalid('the map of a sparse file is cut');
    if (this.#sparseHead.length > this.#limits.maxHeaderBytes) throw limit('the map of a sparse file is too long');
    const extents = parseSparseHead(this.#sparseHead, this.#limits.maxExtents);
    if (extents !== undefined) this.#start(this.#entry as Draft, this.#paxSparse(extents));
  }

  /** The header's fields under those of its extensions; size and extents are filled in by the caller. */
  #named(block: Block): Draft {
    const pax = this.#pax;
    const type = TYPES.get(block.typeFlag);
    const name = paxText(pax, 'GNU.sparse.name') ?? this.#longName ?? paxText(pax, 'path') ?? block.name;
    if (type === undefined) throw invalid(`member ${quote(name)} is of unknown type ${quote(block.typeFlag)}`);
    return {
      // From before tar had a type for directories.
      type: type === 'file' && name.endsWith('/') ? 'directory' : type,
      name,
      linkName: this.#longLink ?? paxText(pax, 'linkpath') ?? block.linkName,
      mode: block.mode,
      uid: paxInteger(pax, 'uid') ?? block.uid,
      gid: paxInteger(pax, 'gid') ?? block.gid,
      size: 0,
      mtimeNs: paxTimeNs(pax, 'mtime') ?? block.mtimeNs,
      atimeNs: paxTimeNs(pax, 'atime'),
      xattrs: paxXattrs(pax),
      devMajor: block.devMajor,
      devMinor: block.devMinor,
      extents: undefined,
    };
  }

  #start(entry: Draft, sparse: SparseMap | undefined): void {
    entry.size = sparse?.size ?? this.#remaining;
    entry.extents = sparse?.extents;
    this.#extents = entry.extents ?? [{ offset: 0, length: this.#remaining }];
    if (entry.extents !== undefined) checkExtents(entry.extents, entry.size, this.#remaining);
    this.#extent = 0;
    this.#offset = 0;
    this.#pax = NO_RECORDS;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#extensionFlag = '';
    this.#entry = entry;
    this.#state = 'entry';
  }

  #announce(): void {
    this.#state = this.#remaining === 0 ? 'end' : 'data';
    this.#waiting = this.#sink.entry(this.#entry as TarEntry);
  }

  /** Hands over what a chunk has of the current extent. */
  #data(chunk: Buffer, at: number): number {
    while (this.#extents[this.#extent]?.length === this.#offset) {
      this.#extent += 1;
      this.#offset = 0;
    }
    const extent = this.#extents[this.#extent];
    if (extent === undefined) throw invalid('more data than the map of a sparse file has room for');
    const part = chunk.subarray(at, at + Math.min(extent.length - this.#offset, this.#remaining));
    this.#waiting = this.#sink.data(part, extent.offset + this.#offset);
    this.#offset += part.length;
    this.#remaining -= part.length;
    if (this.#remaining === 0) this.#state = 'end';
    return part.length;
  }

  #finish(): void {
    if (this.#padding > 0) this.#state = 'padding';
    else this.#expect('header', BLOCK);
    this.#waiting = this.#sink.end();
  }

  #skip(bytes: number): number {
    this.#padding -= bytes;
    if (this.#padding === 0) this.#expect('header', BLOCK);
    return bytes;
  }

  #expect(state: State, bytes: number): void {
    this.#state = state;
    this.#want = bytes;
  }
}

/** A GNU long name is a C string. */
const longText = (bytes: Buffer): string => {
  const nul = bytes.indexOf(0);
  const value = decodeName(nul < 0 ? bytes : bytes.subarray(0, nul));
  if (value === '') throw invalid('a long name is empty');
  return value;
};
