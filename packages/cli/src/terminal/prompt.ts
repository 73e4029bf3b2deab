import { failed } from '../errors.ts';
import { endOnSignal } from './signals.ts';

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TERMIOS_BYTES = 64;
const LOCAL_FLAGS_OFFSET = 12;
const ECHO = 8;
const ECHONL = 64;

/**
 * Asks a person on the terminal for a line. The question goes to standard error, as the answer of a command goes to
 * standard output. A hidden answer isn't shown while it is typed; the terminal shows it again afterwards, also when a
 * signal ends the process.
 *
 * @see https://man7.org/linux/man-pages/man3/termios.3.html
 */
export async function askLine(
  question: string,
  { hidden = false }: { readonly hidden?: boolean } = {},
): Promise<string> {
  using cleanup = new DisposableStack();
  if (hidden) {
    const show = await hideTyping(process.stdin.fd);
    cleanup.defer(show);
    cleanup.use(endOnSignal(show));
  }
  process.stderr.write(question);
  return await readLine();
}

/** Everything on standard input, without the end of its last line. */
export async function readAllInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/** Only the echo goes: the terminal still knows how to erase a letter, and which keys interrupt. */
async function hideTyping(fd: number): Promise<() => void> {
  const { ioctl } = await import('@tsc/sys');
  const before = Buffer.alloc(TERMIOS_BYTES);
  ioctl(fd, TCGETS, before);
  const hidden = Buffer.from(before);
  const flags = before.readUInt32LE(LOCAL_FLAGS_OFFSET);
  hidden.writeUInt32LE(((flags & ~ECHO) | ECHONL) >>> 0, LOCAL_FLAGS_OFFSET);
  ioctl(fd, TCSETS, hidden);
  return () => void ioctl(fd, TCSETS, before);
}

/** A terminal hands over a line at a time. */
function readLine(): Promise<string> {
  const { stdin } = process;
  return new Promise((resolve, reject) => {
    let typed = '';
    const done = (): void => void stdin.off('data', onData).off('end', onEnd).pause();
    const onData = (chunk: Buffer): void => {
      typed += chunk.toString('utf8');
      if (!typed.includes('\n')) return;
      done();
      resolve(typed.slice(0, typed.indexOf('\n')).replace(/\r$/, ''));
    };
    const onEnd = (): void => {
      done();
      reject(failed('the terminal was closed before a line was typed'));
    };
    stdin.on('data', onData).on('end', onEnd).resume();
  });
}
