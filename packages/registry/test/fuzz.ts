import type { Digest } from '../src/index.ts';
import { isDigest } from '../src/names.ts';
import { readAnswers } from './fuzz-answers.ts';
import type { WireAnswer } from './fuzz-answers.ts';
import { learn } from './fuzz-documents.ts';
import type { Known } from './fuzz-documents.ts';
import { Random } from './fuzz-random.ts';
import { makeEpisode } from './fuzz-requests.ts';
import type { Episode } from './fuzz-requests.ts';
import type { HostileTarget } from './hostile-registry.ts';

export interface FuzzOptions {
  readonly target: HostileTarget;
  readonly seed: number;
  readonly count: number;
  /** Must never be in an answer. */
  readonly secret: string;
  readonly clients?: number;
}

export interface FuzzReport {
  /** How often each status was answered; `none` for connections that brought nothing. */
  readonly statuses: Readonly<Record<string, number>>;
  /** What was wrong: seed, number and bytes of the request, and why. */
  readonly findings: readonly string[];
  /** After each tenth of the requests. */
  readonly memoryBytes: readonly number[];
}

/** No request may wait longer: every limit of the registry is far below. */
const HUNG_MS = 15_000;
const FINDINGS_MAX = 20;

/** Writes, and reads until the registry hangs up. */
function converse(target: HostileTarget, { bytes, cut }: Episode): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = target.open();
  const chunks: Buffer[] = [];
  const timer = setTimeout(() => {
    reject(new Error('hung'));
    socket.destroy();
  }, HUNG_MS);
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('close', () => {
    clearTimeout(timer);
    resolve(Buffer.concat(chunks));
  });
  socket.write(bytes, () => {
    if (cut) socket.destroy();
  });
  return promise;
}

function learnFrom(known: Known, { pushes }: Episode, { status, headers }: WireAnswer): void {
  const { location, 'docker-content-digest': digest } = headers;
  if (status === 202 && location !== undefined) learn(known.uploads, location);
  if (status !== 201 || digest === undefined || !isDigest(digest)) return;
  if (location !== undefined) learn(known.places, location);
  learn<Digest>(pushes === 'manifest' ? known.manifests : known.blobs, digest);
}

const shown = (bytes: Buffer): string => JSON.stringify(bytes.subarray(0, 1500).toString('latin1'));

/** Sends requests that nobody should, some at a time, and judges every answer. */
export async function fuzz({ target, seed, count, secret, clients = 48 }: FuzzOptions): Promise<FuzzReport> {
  const known: Known = { blobs: [], manifests: [], places: [], uploads: [] };
  const statuses: Record<string, number> = {};
  const findings: string[] = [];
  let next = 0;
  const memoryBytes: number[] = [];

  const one = async (at: number): Promise<void> => {
    const episode = makeEpisode(new Random(seed * 1_000_003 + at), known);
    let came: Buffer = Buffer.alloc(0);
    try {
      came = await converse(target, episode);
      if (episode.cut) return;
      if (came.includes(secret)) throw new Error('told what is outside of its root');
      const answers = readAnswers(came, episode.method);
      for (const answer of answers) {
        statuses[String(answer.status)] = (statuses[String(answer.status)] ?? 0) + 1;
        learnFrom(known, episode, answer);
      }
      if (answers.length > 0) return;
      statuses['none'] = (statuses['none'] ?? 0) + 1;
      if (!/^CONNECT /.test(episode.bytes.toString('latin1')) && episode.method !== undefined)
        throw new Error('no answer');
    } catch (error) {
      findings.push(
        `seed ${String(seed)}, request ${String(at)}: ${String(error)}: ${shown(episode.bytes)}: ${shown(came)}`,
      );
    }
  };
  const client = async (): Promise<void> => {
    while (next < count && findings.length < FINDINGS_MAX && target.exit() === undefined) {
      const at = next++;
      if (at > 0 && at % Math.ceil(count / 10) === 0) memoryBytes.push(await target.memoryBytes());
      await one(at);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { statuses, findings, memoryBytes: [...memoryBytes, await target.memoryBytes()] };
}
