import { describe, expect, it } from '@jest/globals';

import { parseSignal } from './signal.ts';

describe('parseSignal', () => {
  it.each([
    ['TERM', 15],
    ['SIGTERM', 15],
    ['sigkill', 9],
    ['Hup', 1],
    ['15', 15],
    ['1', 1],
    ['09', 9],
    ['64', 64],
    ['WINCH', 28],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['rtmax-2', 62],
    ['RTMAX', 64],
  ])('reads %s', (text, number) => {
    expect(parseSignal(text)).toBe(number);
  });

  it.each([
    '',
    '0',
    '65',
    '-1',
    '1.5',
    '0x9',
    'TERM ',
    ' 15',
    'SIGSIGTERM',
    'RTMIN-1',
    'RTMAX+1',
    'RTMIN+31',
    'FOO',
    'constructor',
    '__proto__',
    '١',
  ])('refuses %j', (text) => {
    expect(() => parseSignal(text)).toThrow(
      expect.objectContaining({ code: 'RUNTIME_INVALID_SIGNAL', message: `invalid signal: ${text}` }),
    );
  });
});
