import type { RestartPolicy } from '@tsc/engine';

import { badValue } from '../errors.ts';

/** `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:3` */
export function parseRestart(word: string): RestartPolicy {
  const [name = '', count, ...more] = word.split(':');
  if (more.length > 0) throw badValue(`invalid restart policy format: ${word}`);
  if (count !== undefined && !/^\d+$/.test(count)) {
    throw badValue('invalid restart policy format: maximum retry count must be an integer');
  }
  if (name === 'on-failure') return count === undefined ? { name } : { name, maximumRetryCount: Number(count) };
  if (name !== 'no' && name !== 'always' && name !== 'unless-stopped' && name !== '') {
    throw badValue(
      `invalid restart policy: unknown policy '${name}'; use one of: no, always, on-failure, unless-stopped`,
    );
  }
  if (count !== undefined) {
    throw badValue("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
  return { name: name === '' ? 'no' : name };
}
