const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TERMIOS_BYTES = 64;
const OUTPUT_FLAGS_OFFSET = 4;
const OPOST = 1;

/**
 * Hands our terminal over as it is: every key as bytes, every byte of output untouched. Node's own raw mode still turns
 * a line feed into two characters, which the container's terminal has done already or, for a full-screen program, must
 * not be done.
 *
 * @see https://man7.org/linux/man-pages/man3/termios.3.html
 */
export async function enterRawMode(): Promise<void> {
  const { ioctl } = await import('@tsc/sys');
  process.stdin.setRawMode(true);
  const termios = Buffer.alloc(TERMIOS_BYTES);
  ioctl(process.stdin.fd, TCGETS, termios);
  termios.writeUInt32LE(termios.readUInt32LE(OUTPUT_FLAGS_OFFSET) & ~OPOST, OUTPUT_FLAGS_OFFSET);
  ioctl(process.stdin.fd, TCSETS, termios);
}

/** Puts the terminal back as it was before {@link enterRawMode}; does nothing when it is. */
export function leaveRawMode(): void {
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
}
