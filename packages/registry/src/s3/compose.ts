import type { Bucket, Multipart, MultipartPart } from './bucket.ts';
import { planComposition } from './composition.ts';
import type { CompositionPart, PieceRange } from './composition.ts';
import { contentKey } from './layout.ts';
import type { Content } from './layout.ts';

/** How many parts are copied at once. */
const AT_ONCE = 4;

/** Makes one object of several, in their order. */
export async function compose(bucket: Bucket, pieces: readonly Content[], id: string): Promise<Content> {
  const content = { id, sizeBytes: pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
  const plan = planComposition(pieces.map(({ sizeBytes }) => sizeBytes));
  const [first] = plan;
  if (plan.length <= 1 && first?.type !== 'copy') {
    await bucket.put(contentKey(id), first === undefined ? '' : await readRanges(bucket, pieces, first.from));
    return content;
  }
  const multipart = await bucket.beginMultipart(contentKey(id));
  try {
    await bucket.completeMultipart(multipart, await perform({ bucket, multipart, pieces, plan }));
  } catch (error) {
    await bucket.abortMultipart(multipart);
    throw error;
  }
  return content;
}

interface Performance {
  readonly bucket: Bucket;
  readonly multipart: Multipart;
  readonly pieces: readonly Content[];
  readonly plan: readonly CompositionPart[];
}

async function perform({ bucket, multipart, pieces, plan }: Performance): Promise<readonly MultipartPart[]> {
  const rest = plan.entries();
  const done: MultipartPart[] = [];
  const worker = async (): Promise<void> => {
    for (const [at, part] of rest) {
      if (part.type === 'join') {
        done.push(await bucket.putPart(multipart, at + 1, await readRanges(bucket, pieces, part.from)));
      } else {
        const key = contentKey(pieces[part.from.piece]?.id ?? '');
        done.push(await bucket.copyPart(multipart, at + 1, { key, range: part.from.range }));
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return done;
}

async function readRanges(bucket: Bucket, pieces: readonly Content[], ranges: readonly PieceRange[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (const { piece, range } of ranges) {
    const found = await bucket.open(contentKey(pieces[piece]?.id ?? ''), range);
    if (found === undefined) throw new Error('a piece of an upload is gone');
    for await (const chunk of found.body) chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
