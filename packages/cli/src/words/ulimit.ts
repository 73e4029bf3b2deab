import type { UlimitSpec } from '@tsc/engine';

import { badValue } from '../errors.ts';

const NAMES = new Set([
  'core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss', 'rtprio',
  'rttime', 'sigpending', 'stack',
]); // prettier-ignore

/** `nofile=1024:2048`, `nofile=1024` for both, `core=-1` for no limit. */
export function parseUlimit(word: string): UlimitSpec {
  const match = /^([^=]+)=([^:]+)(?::(.+))?$/.exec(word);
  if (match === null) throw badValue(`invalid ulimit argument: ${word}`);
  const [, name = '', softWord = '', hardWord = softWord] = match;
  if (!NAMES.has(name)) throw badValue(`invalid ulimit type: ${name}`);
  const soft = parseLimit(softWord, word);
  const hard = parseLimit(hardWord, word);
  if (hard !== -1 && (soft > hard || soft === -1)) {
    throw badValue(`ulimit soft limit must be less than or equal to hard limit: ${softWord} > ${hardWord}`);
  }
  return { name, soft, hard };
}

function parseLimit(limit: string, word: string): number {
  if (!/^(-1|\d+)$/.test(limit)) throw badValue(`invalid ulimit argument: ${word}: "${limit}" is not a number`);
  return Number(limit);
}
