import { deepEqual } from 'node:assert/strict';

import type { Digest } from '../names.ts';
import type { Answer, ConformanceTarget } from './case.ts';
import { digestOf, locationOf, OCTETS, wantStatus, withQuery } from './case.ts';

/** What the cases of uploads push. */
export const bytes: Buffer = Buffer.from('first chunk, second chunk');
export const FIRST: Buffer = bytes.subarray(0, 11);
export const SECOND: Buffer = bytes.subarray(11);
export const digest: Digest = digestOf(bytes);

export interface Chunk {
  readonly body: Uint8Array;
  readonly range: string;
}

export const patch = (target: ConformanceTarget, location: string, { body, range }: Chunk): Promise<Answer> =>
  target.send('PATCH', location, { body, headers: { 'Content-Type': OCTETS, 'Content-Range': range } });

export interface Finish {
  readonly digest?: string;
  readonly body?: Uint8Array;
}

export const finish = (
  target: ConformanceTarget,
  location: string,
  { digest: wanted = digest, body }: Finish = {},
): Promise<Answer> =>
  target.send('PUT', withQuery(location, `digest=${wanted}`), { body, headers: { 'Content-Type': OCTETS } });

export async function wantPullable(
  target: ConformanceTarget,
  answer: Answer,
  content: Uint8Array = bytes,
): Promise<void> {
  wantStatus(answer, 201);
  const pulled = await target.send('GET', locationOf(answer));
  wantStatus(pulled, 200);
  deepEqual(pulled.body, Buffer.from(content));
}

/** After the first chunk. */
export async function begun(target: ConformanceTarget, name: string = target.freshName()): Promise<string> {
  const answer = await patch(target, await target.start(name), { body: FIRST, range: '0-10' });
  wantStatus(answer, 202);
  return locationOf(answer);
}
