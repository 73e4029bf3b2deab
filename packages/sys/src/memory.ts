import { native } from './binding.ts';

/**
 * Gives pages that malloc holds and nobody uses back to the kernel: after much was allocated and freed, in several threads
 * above all, that may be tens of megabytes. Takes a fraction of a millisecond for each ten of them. Does nothing where the C
 * library isn't glibc.
 *
 * @see https://man7.org/linux/man-pages/man3/malloc_trim.3.html
 */
export const mallocTrim = (): void => {
  native().malloc_trim();
};
