import type { Slot } from '@tsc/sys';

/** Hands out slots of a start program: those of the inherited descriptors come first, by name. */
export class Slots {
  #next: number;

  constructor(inherited: number) {
    this.#next = inherited;
  }

  take(): Slot {
    return this.#next++;
  }
}
