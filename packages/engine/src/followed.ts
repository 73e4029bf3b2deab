import type { MonitorConnection } from '@tsc/runtime';

/** The monitors that this engine stays connected to until their containers have ended, to clean up after them. */
export class Followed {
  readonly #ends = new Map<MonitorConnection, Promise<unknown>>();

  /** `end` settles when the container has ended and been cleaned up after, or when the connection is lost. */
  add(connection: MonitorConnection, end: Promise<unknown>): void {
    this.#ends.set(connection, end);
    const forget = (): void => void this.#ends.delete(connection);
    end.then(forget, forget);
  }

  /** Whether this engine still sees to the end of that container. */
  has(connection: MonitorConnection): boolean {
    return this.#ends.has(connection);
  }

  /** Leaves the rest to the monitors, which have a command for it. Cleaning that has begun is waited for. */
  async close(): Promise<void> {
    const ends = [...this.#ends.values()];
    for (const connection of this.#ends.keys()) connection.close();
    this.#ends.clear();
    await Promise.allSettled(ends);
  }
}
