import { EventEmitter } from 'node:events';

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

import type { ProgressItem } from './item.ts';
import { LiveView, plainView } from './view.ts';

const item = (id: string, status: string, current?: number): ProgressItem => ({
  id,
  status,
  bytes: current === undefined ? undefined : { current, total: 100 },
  finished: status === 'Pull complete',
});

describe('plainView', () => {
  it('has a line for each change, and none for bytes that move', () => {
    let output = '';
    using view = plainView({ write: (text: string) => (output += text) !== '' }, '#0 ');
    view.line('latest: Pulling from app');
    for (const status of ['Pulling fs layer', 'Pulling fs layer', 'Download complete']) view.show(item('a', status));
    view.show(item('a', 'Extracting', 5));
    view.show(item('a', 'Pull complete'));
    view.line('Digest: x');
    expect(output).toBe(
      ['latest: Pulling from app', 'a: Pulling fs layer', 'a: Download complete', 'a: Pull complete', 'Digest: x']
        .map((line) => `#0 ${line}\n`)
        .join(''),
    );
  });
});

/** A terminal as far as it understands: up, erase line, erase below, and the text itself. */
class Terminal extends EventEmitter {
  readonly isTTY = true;
  columns = 60;
  rows = 6;
  writes = 0;
  readonly #lines: string[] = [''];
  #row = 0;

  write(text: string): boolean {
    this.writes++;
    // eslint-disable-next-line no-control-regex -- that is what it is about
    for (const [token] of text.matchAll(/\u001b\[\d*[AKJ]|\r|\n|[^\u001b\r\n]+/g)) this.#feed(token);
    return true;
  }

  #feed(token: string): void {
    if (token === '\n') {
      this.#row++;
      this.#lines[this.#row] ??= '';
    } else if (token.endsWith('A')) this.#row -= Number(token.slice(2, -1));
    else if (token === '\u001b[2K') this.#lines[this.#row] = '';
    else if (token === '\u001b[J') this.#lines.splice(this.#row, Infinity, '');
    else if (token !== '\r') this.#lines[this.#row] = (this.#lines[this.#row] ?? '') + token;
  }

  get screen(): readonly string[] {
    return this.#lines;
  }
}

describe('LiveView', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const open = (terminal: Terminal): LiveView => new LiveView(terminal as unknown as NodeJS.WriteStream);

  it('draws items over in place, some times a second', () => {
    const terminal = new Terminal();
    const view = open(terminal);
    view.line('latest: Pulling from app');
    for (let i = 0; i <= 50; i++) {
      view.show(item('a', 'Downloading', i));
      view.show(item('b', 'Pulling fs layer'));
    }
    expect(terminal.writes).toBe(1);
    jest.advanceTimersByTime(150);
    expect(terminal.writes).toBe(2);
    expect(terminal.screen).toEqual([
      'latest: Pulling from app',
      `a: Downloading [${'='.repeat(14)}>${' '.repeat(14)}]      50B/100B`,
      'b: Pulling fs layer',
      '',
    ]);
    view.show(item('a', 'Pull complete'));
    jest.advanceTimersByTime(150);
    expect(terminal.screen.slice(1)).toEqual(['a: Pull complete', 'b: Pulling fs layer', '']);
    view[Symbol.dispose]();
  });

  it('follows the size of the terminal', () => {
    const terminal = new Terminal();
    const view = open(terminal);
    view.show(item('a', 'Downloading', 50));
    jest.advanceTimersByTime(150);
    terminal.columns = 80;
    terminal.emit('resize');
    expect(terminal.screen).toEqual([`a: Downloading [${'='.repeat(24)}>${' '.repeat(24)}]      50B/100B`, '']);
    terminal.columns = 20;
    view[Symbol.dispose]();
    expect(terminal.listenerCount('resize')).toBe(0);
  });

  it('shows everything in the end, however much it is, and lets go', () => {
    const terminal = new Terminal();
    const view = open(terminal);
    const ids = Array.from({ length: 9 }, (_, i) => String(i));
    for (const id of ids) view.show(item(id, 'Pulling fs layer'));
    jest.advanceTimersByTime(150);
    expect(terminal.screen.length).toBe(terminal.rows);
    for (const id of ids) view.show(item(id, 'Pull complete'));
    view.line('Digest: x');
    expect(terminal.screen).toEqual([...ids.map((id) => `${id}: Pull complete`), 'Digest: x', '']);
    view[Symbol.dispose]();
    expect(jest.getTimerCount()).toBe(0);
    const { writes } = terminal;
    terminal.emit('resize');
    expect(terminal.writes).toBe(writes);
  });
});
