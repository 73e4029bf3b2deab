import { ioctl } from './file.ts';

const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** The window size of the terminal behind `fd`. */
export const getWindowSize = (fd: number): WindowSize => {
  const winsize = Buffer.alloc(8);
  ioctl(fd, TIOCGWINSZ, winsize);
  return { rows: winsize.readUInt16LE(0), columns: winsize.readUInt16LE(2) };
};

/** Sets the window size; the terminal's foreground processes get SIGWINCH. */
export const setWindowSize = (fd: number, size: WindowSize): void => {
  const winsize = Buffer.alloc(8);
  winsize.writeUInt16LE(size.rows, 0);
  winsize.writeUInt16LE(size.columns, 2);
  ioctl(fd, TIOCSWINSZ, winsize);
};
