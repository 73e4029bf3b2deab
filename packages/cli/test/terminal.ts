import { execFileSync } from 'node:child_process';

import { until } from '../../engine/test/test-engine.ts';
import type { Cli } from './cli.ts';

/** A real terminal, tmux's, in which a shell runs. */
export class Terminal implements Disposable {
  readonly #environment: NodeJS.ProcessEnv;

  constructor(cli: Cli, size: { readonly columns: number; readonly rows: number }) {
    this.#environment = { ...process.env, ...cli.environment, TMUX_TMPDIR: cli.dir, TMUX: '' };
    const { columns, rows } = size;
    this.#tmux('new-session', '-d', '-s', 't', '-x', String(columns), '-y', String(rows), 'env PS1="host> " sh');
  }

  #tmux(...words: string[]): string {
    return execFileSync('tmux', ['-f', '/dev/null', ...words], { env: this.#environment, encoding: 'utf8' });
  }

  /** Keys by their names, or text. */
  keys(...keys: string[]): void {
    this.#tmux('send-keys', '-t', 't', ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-t', 't', '-x', String(columns), '-y', String(rows));
  }

  get screen(): string {
    return this.#tmux('capture-pane', '-p', '-t', 't', '-S', '-200');
  }

  async shows(text: string | RegExp): Promise<void> {
    try {
      await until(
        String(text),
        () => (typeof text === 'string' ? this.screen.includes(text) : text.test(this.screen)),
        15_000,
      );
    } catch (error) {
      throw new Error(`${String(error)}, and the terminal shows:\n${this.screen}`, { cause: error });
    }
  }

  [Symbol.dispose](): void {
    this.#tmux('kill-server');
  }
}
