import { parseDigest, type Digest } from '../digest.ts';
import { ImageError, isImageError } from '../errors.ts';
import type { Blob } from '../image/blob.ts';
import { discardBody } from './body.ts';
import { answerFailure, header, type Answer } from './failure.ts';
import { checkRepository } from './host-name.ts';
import type { UploadBlobOptions } from './repository.ts';
import { isTransient, isTransientStatus, parseRetryAfter, waitToRetry } from './retry.ts';
import { locationUrl, type ServerRequest } from './server.ts';
import { describeBlob, expectStatus, needOf, targetAt, type Place } from './site.ts';
import { UploadSource } from './upload-source.ts';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** An upload that the registry has begun for us. */
interface Session {
  readonly url: URL;
  /** How much the registry has. */
  readonly offset: number;
  /** What it wants parts to have at least. */
  readonly minBytes: number;
}

/** How one go at sending ended: with the blob there, or with something that another go may mend. */
type Outcome =
  | { readonly type: 'done' }
  | { readonly type: 'again'; readonly error: ImageError; readonly retryAfterMs?: number | undefined };

/** Who wants to push asks with one token for all, also about a repository that does not exist yet. */
export const hasBlob = async (
  place: Place,
  digest: Digest,
  { signal, action = 'pull' }: CallOptions & { readonly action?: 'pull' | 'pull,push' },
): Promise<boolean> => {
  const { origin } = place;
  const target = targetAt(origin, `blobs/${parseDigest(digest)}`);
  const answer = await origin.server.send({ method: 'HEAD', target, need: needOf(origin, action), signal });
  const what = `cannot look for ${describeBlob(place, { digest })}`;
  await expectStatus(answer, [200, 404], { what, signal });
  await discardBody(answer.body);
  return answer.status === 200;
};

export const removeBlob = async (place: Place, digest: Digest, { signal }: CallOptions): Promise<void> => {
  const { origin } = place;
  const target = targetAt(origin, `blobs/${parseDigest(digest)}`);
  const answer = await origin.server.send({ method: 'DELETE', target, need: needOf(origin, 'delete'), signal });
  await expectStatus(answer, [202, 200, 204], { what: `cannot delete ${describeBlob(place, { digest })}`, signal });
  await discardBody(answer.body);
};

/** One upload of one blob. */
class Upload implements Disposable {
  readonly #place: Place;
  readonly #blob: Blob;
  readonly #options: UploadBlobOptions;
  readonly #source: UploadSource;
  readonly #what: string;
  #session: Session | undefined;

  constructor(place: Place, blob: Blob, options: UploadBlobOptions) {
    this.#place = place;
    this.#blob = blob;
    this.#options = options;
    this.#source = new UploadSource(blob, options.signal);
    this.#what = `cannot push ${describeBlob(place, blob.descriptor)}`;
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }

  /** Asks for the blob of another repository; if that isn't to be had, the registry begins an upload instead. */
  async mount(from: string): Promise<boolean> {
    const { digest } = this.#blob.descriptor;
    const { path } = checkRepository({ domain: this.#place.domain, path: from });
    const target = targetAt(this.#place.origin, 'blobs/uploads/', { mount: digest, from: path });
    const answer = await this.#send({ method: 'POST', target }, `repository:${path}:pull`);
    await discardBody(answer.body);
    if (answer.status === 202) {
      await this.#cancel();
      this.#session = sessionOf(answer, answer.url);
    }
    return answer.status === 201;
  }

  /** Sends the blob, however many connections that takes. An upload that fails is taken back. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      const isLost = isImageError(error) && error.code === 'REGISTRY_UNREACHABLE';
      if (this.#options.signal?.aborted !== true && !isLost) await this.#cancel();
      throw error;
    }
  }

  async #run(): Promise<void> {
    const { retry } = this.#place;
    for (let failures = 0; ;) {
      const session = (this.#session ??= await this.#begin());
      const outcome = await this.#transfer(session);
      if (outcome.type === 'done') return;
      // What the registry has got is asked of it, and not believed from what was sent.
      const reached = await this.#recover(session);
      if (reached === 'present') return;
      failures = reached > session.offset ? 1 : failures + 1;
      if (failures >= retry.attempts) throw outcome.error;
      await waitToRetry(retry, { failures, retryAfterMs: outcome.retryAfterMs }, this.#options.signal);
    }
  }

  /** Tells the registry to forget what it has got; one that doesn't listen forgets it in time. */
  async #cancel(): Promise<void> {
    const url = this.#session?.url;
    this.#session = undefined;
    if (url === undefined) return;
    try {
      const answer = await this.#send({ method: 'DELETE', target: url, retry: false });
      await discardBody(answer.body);
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!isImageError(error)) throw error;
    }
  }

  async #begin(): Promise<Session> {
    const target = targetAt(this.#place.origin, 'blobs/uploads/');
    const { signal } = this.#options;
    const answer = await expectStatus(await this.#send({ method: 'POST', target }), [202], {
      what: this.#what,
      signal,
    });
    await discardBody(answer.body);
    return sessionOf(answer, answer.url);
  }

  /** In one request, or in parts if that is wanted or the registry has a part already. */
  async #transfer(begun: Session): Promise<Outcome> {
    const { size, digest } = this.#blob.descriptor;
    const { chunkBytes } = this.#options;
    let session = begun;
    const whole = session.offset === 0 && (chunkBytes === undefined || chunkBytes >= size);
    while (!whole && session.offset < size) {
      const length = Math.min(size - session.offset, Math.max(chunkBytes ?? size, session.minBytes));
      const sent = await this.#attempt(session, { length, url: session.url });
      if (sent.type === 'again') return sent;
      this.#session = session = advance(session, sent.answer, { length, what: this.#what });
    }
    const url = new URL(session.url);
    url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
    const closed = await this.#attempt(session, { length: size - session.offset, url, final: true });
    return closed.type === 'again' ? closed : { type: 'done' };
  }

  async #attempt(
    { offset }: Session,
    { length, url, final = false }: { readonly length: number; readonly url: URL; readonly final?: boolean },
  ): Promise<{ readonly type: 'sent'; readonly answer: Answer } | (Outcome & { readonly type: 'again' })> {
    const { signal } = this.#options;
    const range = final ? {} : { 'content-range': `${String(offset)}-${String(offset + length - 1)}` };
    try {
      const answer = await this.#send({
        method: final ? 'PUT' : 'PATCH',
        target: url,
        headers: { 'content-type': 'application/octet-stream', 'content-length': String(length), ...range },
        body: length === 0 ? undefined : () => this.#source.bytes(offset, length),
        retry: false,
      });
      if ((final ? [201, 204] : [202, 204]).includes(answer.status)) {
        await discardBody(answer.body);
        return { type: 'sent', answer };
      }
      const error = await answerFailure(this.#what, answer, signal);
      this.#source.throwIfFailed();
      // A registry that has lost its place or the upload says so with 416 or 404.
      if (!isTransientStatus(answer.status) && answer.status !== 416 && answer.status !== 404) throw error;
      return { type: 'again', error, retryAfterMs: parseRetryAfter(header(answer, 'retry-after'), Date.now()) };
    } catch (error) {
      signal?.throwIfAborted();
      this.#source.throwIfFailed();
      if (!isTransient(error) || !isImageError(error)) throw error;
      return { type: 'again', error };
    }
  }

  /** How much the registry has now; without an upload that can go on, the next one begins at 0. */
  async #recover(lost: Session): Promise<number | 'present'> {
    const { signal } = this.#options;
    if (await hasBlob(this.#place, this.#blob.descriptor.digest, { signal, action: 'pull,push' })) return 'present';
    const url = this.#session?.url ?? lost.url;
    const answer = await this.#send({ method: 'GET', target: url });
    await discardBody(answer.body);
    const offset = offsetOf(answer);
    // "0-0" is both one byte and none, so it is not built upon.
    const known = [200, 202, 204].includes(answer.status) && offset !== undefined && offset > 1;
    if (!known || offset > this.#blob.descriptor.size) {
      this.#session = undefined;
      return 0;
    }
    this.#session = { ...lost, url: nextUrl(answer, url), offset };
    return offset;
  }

  async #send(request: Omit<ServerRequest, 'need' | 'signal'>, ...scopes: readonly string[]): Promise<Answer> {
    const { origin } = this.#place;
    const need = needOf(origin, 'pull,push', ...scopes);
    return await origin.server.send({ ...request, need, signal: this.#options.signal });
  }
}

/** `0-99` is 100 bytes. */
const offsetOf = (answer: Answer): number | undefined => {
  const [, last] = /^(?:bytes=)?0-(\d{1,15})$/.exec(header(answer, 'range') ?? '') ?? [];
  return last === undefined ? undefined : Number(last) + 1;
};

const nextUrl = (answer: Answer, before: URL): URL => {
  const location = header(answer, 'location');
  return location === undefined ? before : locationUrl(location, before);
};

const sessionOf = (answer: Answer, from: URL): Session => {
  const minBytes = Number(/^\d{1,12}$/.exec(header(answer, 'oci-chunk-min-length') ?? '')?.[0] ?? 0);
  if (header(answer, 'location') === undefined)
    throw new ImageError('REGISTRY_FAILED', `cannot upload: ${from.host} does not say where to`, { path: from.host });
  return { url: nextUrl(answer, from), offset: 0, minBytes };
};

/** Where the next part begins: where the registry says, as long as that is further and not too far. */
const advance = (session: Session, answer: Answer, { length, what }: { length: number; what: string }): Session => {
  const offset = offsetOf(answer) ?? session.offset + length;
  if (offset <= session.offset || offset > session.offset + length) {
    const why = `${answer.url.host} says that it has ${String(offset)} bytes`;
    throw new ImageError('REGISTRY_FAILED', `${what}: ${why}`, { path: answer.url.host });
  }
  return { ...session, url: nextUrl(answer, session.url), offset };
};

/** What a mount may end in that says nothing about uploading. */
const NOT_MOUNTED: ReadonlySet<string> = new Set([
  'REGISTRY_UNAUTHORIZED',
  'REGISTRY_NOT_FOUND',
  'REGISTRY_REFUSED',
  'REGISTRY_FAILED',
]);

const mountFirst = async (upload: Upload, repositories: readonly string[]): Promise<boolean> => {
  for (const from of repositories) {
    try {
      if (await upload.mount(from)) return true;
    } catch (error) {
      if (!isImageError(error) || !NOT_MOUNTED.has(error.code)) throw error;
    }
  }
  return false;
};

export const uploadBlob = async (
  place: Place,
  blob: Blob,
  options: UploadBlobOptions,
): Promise<'present' | 'mounted' | 'uploaded'> => {
  const { chunkBytes, mountFrom = [], signal } = options;
  if (chunkBytes !== undefined && !(Number.isSafeInteger(chunkBytes) && chunkBytes > 0))
    throw new RangeError(`chunkBytes: want a positive whole number, not ${String(chunkBytes)}`);
  if (await hasBlob(place, blob.descriptor.digest, { signal, action: 'pull,push' })) return 'present';
  using upload = new Upload(place, blob, options);
  if (
    await mountFirst(
      upload,
      mountFrom.filter((from) => from !== place.path),
    )
  )
    return 'mounted';
  await upload.run();
  return 'uploaded';
};
