import { constants, openSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { owned, thrownBy } from '../test/temporary-directory.ts';
import { ioctl } from './file.ts';
import { getWindowSize, setWindowSize } from './terminal.ts';

const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;

describe('the window size', () => {
  it('is the same at both ends of a terminal', () => {
    using master = owned(openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY));
    ioctl(master.fd, TIOCSPTLCK, Buffer.alloc(4));
    using terminal = owned(ioctl(master.fd, TIOCGPTPEER, constants.O_RDWR | constants.O_NOCTTY));
    setWindowSize(master.fd, { rows: 43, columns: 132 });
    expect(getWindowSize(terminal.fd)).toEqual({ rows: 43, columns: 132 });
  });

  it('is refused by what is no terminal', () => {
    using file = owned(openSync('/dev/null', 'r'));
    expect(thrownBy(() => getWindowSize(file.fd))).toMatchObject({ code: 'ENOTTY', syscall: 'ioctl' });
  });
});
