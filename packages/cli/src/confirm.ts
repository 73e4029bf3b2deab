import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/**
 * Asks a person before something is lost, in Docker's words; only `y`, in either case, is a yes. The end of the input is
 * a no.
 */
export async function confirm(
  warning: string,
  { input, output }: { readonly input: Readable; readonly output: Writable },
): Promise<boolean> {
  output.write(`WARNING! ${warning}\nAre you sure you want to continue? [y/N] `);
  const lines = createInterface({ input });
  try {
    for await (const line of lines) return line.trim().toLowerCase() === 'y';
    return false;
  } finally {
    lines.close();
  }
}
