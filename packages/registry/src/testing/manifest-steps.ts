import type { Answer, ConformanceTarget } from './case.ts';
import { digestOf, MANIFEST } from './case.ts';

/** The digest of nothing that anybody pushes. */
export const missing: string = digestOf('nobody has this');

export const bytesOf = (document: object): Buffer => Buffer.from(JSON.stringify(document));

export interface Pushed {
  /** What is sent as JSON, or a `Buffer` that is sent as it is. */
  readonly document: object;
  /** Its `Content-Type`; default: an image manifest's. */
  readonly type?: string;
}

/** Pushes a manifest as it is: a document, or bytes that may be none. */
export const put = (target: ConformanceTarget, path: string, { document, type = MANIFEST }: Pushed): Promise<Answer> =>
  target.send('PUT', path, {
    body: Buffer.isBuffer(document) ? document : bytesOf(document),
    headers: { 'Content-Type': type },
  });
