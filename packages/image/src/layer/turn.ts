import { setImmediate as nextTurn } from 'node:timers/promises';

const TURN_MS = 10;

/** Gives the event loop to others every few milliseconds, in work that would keep it for long. */
export class Turn {
  #ends: number = performance.now() + TURN_MS;

  /** Whether it is time to `await pass()`. */
  get isOver(): boolean {
    return performance.now() >= this.#ends;
  }

  async pass(): Promise<void> {
    await nextTurn();
    this.#ends = performance.now() + TURN_MS;
  }
}
