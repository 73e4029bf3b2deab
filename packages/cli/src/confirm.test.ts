import { PassThrough, Readable } from 'node:stream';

import { expect, it } from '@jest/globals';

import { confirm } from './confirm.ts';

it.each([
  ['y\n', true],
  [' Y \n', true],
  ['yes\n', false],
  ['n\n', false],
  ['\n', false],
  ['y', true],
  ['', false],
])('takes %j for %s', async (answer, expected) => {
  const output = new PassThrough();
  expect(await confirm('This will hurt.', { input: Readable.from([answer]), output })).toBe(expected);
  expect(String(output.read())).toBe('WARNING! This will hurt.\nAre you sure you want to continue? [y/N] ');
});
