import { constants } from 'node:os';

import { RuntimeError } from './errors.ts';

const SIGRTMIN = 34;
const SIGRTMAX = 64;

function realTimeSignal(name: string): number | undefined {
  const match = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (match === null) return undefined;
  const offset = Number(`${match[2] ?? '+'}${match[3] ?? '0'}`);
  const number = (match[1] === 'MIN' ? SIGRTMIN : SIGRTMAX) + offset;
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
}

/**
 * A signal's number from its name, with or without `SIG`, in any case, or from a number in text.
 *
 * @throws RuntimeError `RUNTIME_INVALID_SIGNAL`
 */
export function parseSignal(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= SIGRTMAX) return Number(text);
  const name = text.toUpperCase().replace(/^SIG/, '');
  const number = realTimeSignal(name) ?? (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
  if (number === undefined) throw new RuntimeError('RUNTIME_INVALID_SIGNAL', `invalid signal: ${text}`);
  return number;
}
