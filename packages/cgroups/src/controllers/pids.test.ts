import { expect, it } from '@jest/globals';

import { planPids } from './pids.ts';

const group = { version: 1, directory: '/v1' } as const;

it.each([
  [10, '10'],
  ['max', 'max'],
  [-1, 'max'],
] as const)('pidsMax %p is written as %s', (pidsMax, data) => {
  expect(planPids({ pidsMax }, group)).toEqual([{ type: 'write', path: '/v1/pids.max', data, restorable: true }]);
});

it('refuses a group that nothing may run in', () => {
  expect(() => planPids({ pidsMax: 0 }, group)).toThrow('cannot set pidsMax to 0: must be an integer, 1 or more');
});
