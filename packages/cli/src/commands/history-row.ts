import type { StoredImage } from '@tsc/image';

import { humanDuration } from '../format/duration.ts';
import type { Row } from '../format/listing.ts';
import { ellipsis, shortId } from '../format/shorten.ts';
import { humanSize } from '../format/size.ts';

/** Docker's word for the id of a step that is no image of its own. */
const MISSING = '<missing>';
const CREATED_BY_WIDTH = 45;
/** Moments up to 2000 are placeholders of builds that keep no time: nothing is "56 years ago". */
const EPOCH = Date.UTC(2000, 0, 1);

export interface HistoryRowOptions {
  readonly now: Date;
  readonly truncate: boolean;
  /** Sizes with a unit and times as durations; else bytes and dates. */
  readonly human: boolean;
}

/** A step of an image's history. */
interface Step {
  readonly created: Date | undefined;
  readonly createdBy: string;
  readonly comment: string;
  readonly sizeBytes: number;
}

/** The steps that made an image, the last first. Layers that its history says nothing of are steps without a word. */
function steps({ config, layers }: Pick<StoredImage, 'config' | 'layers'>): readonly Step[] {
  const sizes = layers.map(({ sizeBytes }) => sizeBytes);
  const history = (config.history ?? []).map((entry): Step => {
    const created = new Date(entry.created ?? Number.NaN);
    return {
      created: Number.isNaN(created.getTime()) ? undefined : created,
      createdBy: entry.created_by ?? '',
      comment: entry.comment ?? '',
      sizeBytes: entry.empty_layer === true ? 0 : (sizes.shift() ?? 0),
    };
  });
  const untold = sizes.map((sizeBytes): Step => ({ created: undefined, createdBy: '', comment: '', sizeBytes }));
  return [...history, ...untold].reverse();
}

/** The rows of `history`, the last step first; it has the image's id. */
export function historyRows(
  image: Pick<StoredImage, 'id' | 'config' | 'layers'>,
  { now, truncate, human }: HistoryRowOptions,
): readonly Row[] {
  return steps(image).map(({ created, createdBy, comment, sizeBytes }, i) => {
    const line = createdBy.replaceAll('\t', ' ');
    const createdAt = created === undefined ? '' : localTimestamp(created);
    const id = i === 0 ? image.id : MISSING;
    return {
      Comment: comment,
      CreatedAt: createdAt,
      CreatedBy: truncate ? ellipsis(line, CREATED_BY_WIDTH) : line,
      CreatedSince: human ? ago(created, now) : createdAt,
      ID: truncate ? shortId(id) : id,
      Size: human ? humanSize(sizeBytes) : String(sizeBytes),
    };
  });
}

const ago = (created: Date | undefined, now: Date): string =>
  created === undefined || created.getTime() <= EPOCH ? '' : `${humanDuration(now.getTime() - created.getTime())} ago`;

/** RFC 3339 in local time, to the second. */
export function localTimestamp(moment: Date): string {
  const offset = -moment.getTimezoneOffset();
  const local = new Date(moment.getTime() + offset * 60_000).toISOString().slice(0, 19);
  if (offset === 0) return `${local}Z`;
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  return `${local}${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
}
