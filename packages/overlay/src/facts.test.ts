import { expect, it } from '@jest/globals';

import { versionFacts } from './facts.ts';

it.each([
  ['4.18.0-553.el8.x86_64', { metacopy: false, volatile: false, userxattr: false }],
  ['5.4.0-42-generic', { metacopy: true, volatile: false, userxattr: false }],
  ['5.10.0-30-amd64', { metacopy: true, volatile: true, userxattr: false }],
  ['6.1.0-18-amd64', { metacopy: true, volatile: true, userxattr: true }],
])('knows what Linux %s has, which takes any option for known', (release, facts) => {
  expect(versionFacts(release)).toMatchObject({ overlay: true, lowerdirPlus: false, maxLowerDirs: 500, ...facts });
});
