import { humanSize } from '../format/size.ts';

/** One line of a transfer: a layer, and what happens to it. */
export interface ProgressItem {
  /** The twelve hex digits by which people know a layer. */
  readonly id: string;
  readonly status: string;
  /** Bytes so far and in all, while bytes move: such a line changes all the time. `total` is 0 when nobody knows. */
  readonly bytes?: { readonly current: number; readonly total: number } | undefined;
  /** Nothing more will happen to it. */
  readonly finished: boolean;
}

const BAR_MAX = 50;
const BAR_MIN = 10;

/** `3f4d90098f5b: Downloading [====>     ]  12.3MB/45.6MB`, no wider than `columns`: the bar goes first. */
export function formatItem({ id, status, bytes }: ProgressItem, columns: number): string {
  const label = `${id}: ${status}`;
  if (bytes === undefined) return label.slice(0, columns);
  const { current, total } = bytes;
  if (total <= 0) return `${label} ${humanSize(current).padStart(8)}`.slice(0, columns);
  const amount = `${humanSize(current).padStart(8)}/${humanSize(total)}`;
  const width = Math.min(BAR_MAX, columns - label.length - amount.length - ' [>] '.length);
  const bar = width < BAR_MIN ? '' : ` ${formatBar(current / total, width)}`;
  return `${label}${bar} ${amount}`.slice(0, columns);
}

function formatBar(share: number, width: number): string {
  const done = Math.floor(Math.min(1, Math.max(0, share)) * width);
  return `[${'='.repeat(done)}>${' '.repeat(width - done)}]`;
}
