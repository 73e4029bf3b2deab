import { mallocTrim } from '@tsc/sys';

/** In which the buffers of a transfer have been allocated and freed a hundred times. */
const EVERY_BYTES = 32 * 1024 ** 2;
/** Of all time, at most one part in so many goes into it. */
const TIME_SHARE = 100;

/** Of the process, as its memory is. */
const state = { bytes: 0, notBefore: 0 };

/**
 * Gives the kernel back, after so many bytes were written to files, what malloc keeps of buffers and of V8's compilers. Else
 * a process that has transferred much holds tens of megabytes that are free.
 */
export const giveBackNowAndThen = (bytes: number): void => {
  state.bytes += bytes;
  const begin = performance.now();
  if (state.bytes < EVERY_BYTES || begin < state.notBefore) return;
  mallocTrim();
  const end = performance.now();
  state.bytes = 0;
  state.notBefore = end + (end - begin) * TIME_SHARE;
};
