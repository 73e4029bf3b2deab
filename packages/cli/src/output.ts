/** Writes a line to standard output. */
export const printLine = (line: string): void => void process.stdout.write(`${line}\n`);

/** Writes text that brings its own line ends. */
export const print = (text: string): void => void process.stdout.write(text);

/** Writes a line for a person to standard error. */
export const note = (line: string): void => void process.stderr.write(`${line}\n`);

const SIGPIPE_EXIT = 141;

/** When the reader of our output has gone (`| head`) there is nobody to tell: the process ends without a word. */
export function endQuietlyWithoutReader(): void {
  const onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(SIGPIPE_EXIT);
  };
  process.stdout.on('error', onError);
  process.stderr.on('error', onError);
}

/** Resolves when everything written so far is out. */
export const flushed = async (): Promise<void> => {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
};
