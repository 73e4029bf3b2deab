import { RecentMap } from './recent-map.ts';

const AGE_MS = 5000;
/** What took long to read is kept for that many times as long. */
const AGE_TIMES = 10;

interface Reading<T> {
  readonly value: Promise<T>;
  untilMs: number;
}

/** What was read a moment ago, for those who ask next; many who ask at once wait for one reading. */
export class KeptReadings<T> {
  readonly #read: (key: string) => Promise<T>;
  readonly #readings: RecentMap<Reading<T>>;

  constructor(max: number, read: (key: string) => Promise<T>) {
    this.#read = read;
    this.#readings = new RecentMap(max);
  }

  get(key: string): Promise<T> {
    const begunMs = performance.now();
    const known = this.#readings.get(key);
    if (known !== undefined && begunMs < known.untilMs) return known.value;
    const value = this.#read(key);
    const reading: Reading<T> = { value, untilMs: Infinity };
    this.#readings.set(key, reading);
    value.then(
      () => {
        const nowMs = performance.now();
        reading.untilMs = nowMs + Math.max(AGE_MS, (nowMs - begunMs) * AGE_TIMES);
      },
      () => this.#readings.delete(key),
    );
    return value;
  }
}
