import type { WriteStream } from 'node:tty';
import type { Writable } from 'node:stream';

import { composeFrame, redraw } from './frame.ts';
import type { ScreenSize } from './frame.ts';
import { formatItem } from './item.ts';
import type { ProgressItem } from './item.ts';

/** Where a transfer is shown. Disposing leaves the cursor below everything, on a line of its own. */
export interface ProgressView extends Disposable {
  /** A line that stays. Items that are shown stay as they are above it, and later ones come below. */
  line(text: string): void;
  /** Shows an item, or what has become of it. */
  show(item: ProgressItem): void;
}

/** Lines, one for each change: for files, pipes and logs. Bytes that move are no change. `prefix` begins each of them. */
export function plainView(to: Pick<Writable, 'write'>, prefix = ''): ProgressView {
  const shown = new Map<string, string>();
  const line = (text: string): void => void to.write(`${prefix}${text}\n`);
  return {
    line: (text) => {
      shown.clear();
      line(text);
    },
    show: (item) => {
      if (item.bytes !== undefined || shown.get(item.id) === item.status) return;
      shown.set(item.id, item.status);
      line(formatItem(item, Infinity));
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Says nothing. */
export const silentView: ProgressView = {
  line: () => undefined,
  show: () => undefined,
  [Symbol.dispose]: () => undefined,
};

/** How often a terminal is drawn on at most: faster can't be read. */
const FRAME_MS = 100;

/** The part of a terminal that is written to. */
export type Screen = Pick<WriteStream, 'write' | 'on' | 'off' | 'columns' | 'rows'>;

/** One line for each item, drawn over in place, as wide and high as the terminal is by then. */
export class LiveView implements ProgressView {
  readonly #screen: Screen;
  readonly #prefix: string;
  #items = new Map<string, ProgressItem>();
  #drawn: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(screen: Screen, prefix = '') {
    this.#screen = screen;
    this.#prefix = prefix;
    screen.on('resize', this.#draw);
  }

  line(text: string): void {
    this.#settle();
    this.#screen.write(`${this.#prefix}${text}\n`);
  }

  show(item: ProgressItem): void {
    this.#items.set(item.id, item);
    this.#timer ??= setTimeout(this.#draw, FRAME_MS);
  }

  [Symbol.dispose](): void {
    this.#screen.off('resize', this.#draw);
    this.#settle();
  }

  readonly #draw = (): void => {
    this.#stopTimer();
    if (this.#items.size === 0) return;
    const size = sizeOf(this.#screen);
    const items = [...this.#items.values()];
    const columns = size.columns - this.#prefix.length;
    this.#put(composeFrame(items, { ...size, columns }), size.columns);
  };

  /** Draws all items for the last time: however many there are, they may scroll away now. */
  #settle(): void {
    this.#stopTimer();
    if (this.#items.size === 0) return;
    const { columns } = sizeOf(this.#screen);
    this.#put(
      [...this.#items.values()].map((item) => formatItem(item, columns - this.#prefix.length)),
      columns,
    );
    this.#items = new Map();
    this.#drawn = [];
  }

  #put(lines: readonly string[], columns: number): void {
    const next = lines.map((line) => this.#prefix + line);
    this.#screen.write(redraw(this.#drawn, next, columns));
    this.#drawn = next;
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** A terminal that doesn't know its size, such as a serial line, says 0. */
const sizeOf = ({ columns, rows }: Screen): ScreenSize => ({ columns: columns || 80, rows: rows || 24 });

/** Lines that are drawn over on a terminal, plain ones elsewhere. */
export const openView = (to: WriteStream, prefix = ''): ProgressView =>
  to.isTTY && process.env['TERM'] !== 'dumb' ? new LiveView(to, prefix) : plainView(to, prefix);
