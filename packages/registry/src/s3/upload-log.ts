import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { RegistryError } from '../errors.ts';
import { formatReceived } from '../ranges.ts';
import type { Upload } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import { sequenceOfRecord, UPLOADS, uploadPrefix, uploadRecordKey } from './layout.ts';
import type { Content } from './layout.ts';

const POLL_MS = 100;
const REMEMBERED_MAX = 1000;

export const uploadUnknown = (): RegistryError => new RegistryError('BLOB_UPLOAD_UNKNOWN', 'no such upload');

export const uploadBusy = (sizeBytes: number): RegistryError =>
  new RegistryError('BLOB_UPLOAD_INVALID', 'another request is writing to this upload', {
    status: 416,
    headers: { Range: formatReceived(sizeBytes) },
  });

/** What an upload was at one moment. */
export interface UploadRecord {
  readonly name: string;
  readonly pieces: readonly Content[];
  /** Who may write; undefined: whoever says so first. */
  readonly writer: string | undefined;
}

/** The latest record, and its number. */
export interface UploadHead {
  readonly id: string;
  readonly sequence: number;
  readonly record: UploadRecord;
}

interface StoredRecord extends UploadRecord {
  /** Tells a record of ours, whose answer was lost, from that of somebody else. */
  readonly token: string;
}

export const sizeOf = ({ pieces }: UploadRecord): number => pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/**
 * An upload is a log of records, numbered, of which the last one counts. A record is only made where none is, so of two who
 * go on from the same one, one fails: that is the only lock there is. No record is removed before the upload is.
 */
export class UploadLog {
  readonly #bucket: Bucket;
  readonly #takeoverMs: number;
  readonly #instance: string = randomUUID();
  /** What we have read or written last, so that it needn't be read again. */
  readonly #heads = new Map<string, UploadHead>();

  constructor(bucket: Bucket, takeoverMs: number) {
    this.#bucket = bucket;
    this.#takeoverMs = takeoverMs;
  }

  async begin(id: string, name: string): Promise<void> {
    await this.#write({ id, sequence: 0, record: { name, pieces: [], writer: undefined } });
  }

  /** @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN` */
  async read({ id, name }: Upload): Promise<UploadHead> {
    const known = this.#heads.get(id);
    const after = known === undefined || known.sequence === 0 ? undefined : uploadRecordKey(id, known.sequence - 1);
    let sequence: number | undefined;
    for await (const { key } of this.#bucket.list(uploadPrefix(id), { after })) sequence = sequenceOfRecord(key);
    if (sequence === undefined) {
      this.#heads.delete(id);
      throw uploadUnknown();
    }
    const head = known?.sequence === sequence ? known : await this.#readRecord(id, sequence);
    if (head?.record.name !== name) throw uploadUnknown();
    return head;
  }

  /**
   * Takes the right to write. That of a writer which makes no more records is taken over; when it was only asleep, its next
   * record fails.
   *
   * @throws {@link RegistryError} `BLOB_UPLOAD_UNKNOWN`; status 416 when somebody else is writing
   */
  async claim(upload: Upload, signal?: AbortSignal): Promise<UploadHead> {
    const begun = performance.now();
    let seen = { sequence: -1, atMs: 0 };
    for (;;) {
      const head = await this.read(upload);
      const now = performance.now();
      if (head.sequence !== seen.sequence) seen = { sequence: head.sequence, atMs: now };
      if (head.record.writer === undefined || now - seen.atMs >= this.#takeoverMs) {
        const claimed = await this.#append(head, { ...head.record, writer: `${this.#instance}/${randomUUID()}` });
        if (claimed !== undefined) return claimed;
        continue;
      }
      if (now - begun > this.#takeoverMs + 1000) throw uploadBusy(sizeOf(head.record));
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  /** Goes on from a record that is ours. @throws {@link RegistryError} status 416: the upload was taken from us */
  async commit(head: UploadHead, change: Partial<UploadRecord>): Promise<UploadHead> {
    const next = await this.#append(head, { ...head.record, ...change });
    if (next === undefined) throw uploadBusy(sizeOf(head.record));
    return next;
  }

  /**
   * Ends an upload that we go on from: nobody can do anything with its pieces any more.
   *
   * @returns whether the pieces are ours alone now, to give a blob or to remove. They aren't when the upload had been ended
   *   before, by somebody who then removed the record that ours should have met. Records are removed from the first one on, so
   *   while that one is there, none was.
   */
  async end(head: UploadHead): Promise<boolean> {
    const ended = await this.#append(head, { ...head.record, pieces: [], writer: `${this.#instance}/end` });
    return ended !== undefined && (await this.#bucket.stat(uploadRecordKey(head.id, 0))) !== undefined;
  }

  /** Whether somebody went on from the record that we know. */
  async isBehind({ id, sequence }: UploadHead): Promise<boolean> {
    const next = await this.#readRecord(id, sequence + 1);
    return next !== undefined && next.record.writer !== `${this.#instance}/end`;
  }

  /** The last record, whatever repository it belongs to. */
  async latest(id: string): Promise<UploadHead | undefined> {
    let sequence: number | undefined;
    for await (const { key } of this.#bucket.list(uploadPrefix(id))) sequence = sequenceOfRecord(key);
    return sequence === undefined ? undefined : this.#readRecord(id, sequence);
  }

  /** Removes the records of an upload that was ended. */
  async remove(id: string): Promise<void> {
    this.#heads.delete(id);
    const keys: string[] = [];
    for await (const { key } of this.#bucket.list(uploadPrefix(id))) keys.push(key);
    for (const key of keys) await this.#bucket.remove(key);
  }

  async exists(id: string): Promise<boolean> {
    for await (const _record of this.#bucket.list(uploadPrefix(id), { pageEntries: 1 })) return true;
    return false;
  }

  /** Ids of all uploads, with the time of their last record by the server's clock. */
  async *list(): AsyncGenerator<{ readonly id: string; readonly modifiedMs: number }> {
    let current: { readonly id: string; readonly modifiedMs: number } | undefined;
    for await (const { key, modifiedMs } of this.#bucket.list(UPLOADS)) {
      const id = key.slice(UPLOADS.length, key.lastIndexOf('/'));
      if (current !== undefined && current.id !== id) yield current;
      current = { id, modifiedMs: Math.max(modifiedMs, current?.id === id ? current.modifiedMs : 0) };
    }
    if (current !== undefined) yield current;
  }

  async #readRecord(id: string, sequence: number): Promise<UploadHead | undefined> {
    const found = await this.#bucket.read(uploadRecordKey(id, sequence));
    if (found === undefined) return undefined;
    const { name, pieces, writer } = JSON.parse(found.bytes.toString()) as StoredRecord;
    return this.#remember({ id, sequence, record: { name, pieces, writer } });
  }

  async #append({ id, sequence }: UploadHead, record: UploadRecord): Promise<UploadHead | undefined> {
    const next = { id, sequence: sequence + 1, record };
    return (await this.#write(next)) ? next : undefined;
  }

  /** @returns false when the place is taken */
  async #write(head: UploadHead): Promise<boolean> {
    const token = randomUUID();
    const key = uploadRecordKey(head.id, head.sequence);
    const stored: StoredRecord = { ...head.record, token };
    if (!(await this.#bucket.create(key, JSON.stringify(stored)))) {
      const found = await this.#bucket.read(key);
      if (found === undefined || (JSON.parse(found.bytes.toString()) as StoredRecord).token !== token) return false;
    }
    this.#remember(head);
    return true;
  }

  #remember(head: UploadHead): UploadHead {
    this.#heads.delete(head.id);
    this.#heads.set(head.id, head);
    const oldest = this.#heads.keys().next().value;
    if (this.#heads.size > REMEMBERED_MAX && oldest !== undefined) this.#heads.delete(oldest);
    return head;
  }
}
