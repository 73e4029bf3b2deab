import { describe, expect, test } from '@jest/globals';

import { openPolicy, parsePolicy } from './rules.ts';

describe('a policy of rules', () => {
  const policy = openPolicy([
    { repositories: ['prod/huge'], quotaBytes: 500 },
    { repositories: ['prod/**', 'base'], immutableTags: ['v*', 'release'], quotaBytes: 100 },
    { repositories: ['**'], immutableTags: ['archive-*'] },
  ]);

  test('takes immutable tags of every rule that fits', () => {
    expect(
      [
        ['prod/a', 'v1'],
        ['prod/a/b', 'release'],
        ['base', 'v2'],
        ['other', 'archive-1'],
        ['prod/a', 'archive-1'],
      ].every(([name = '', tag = '']) => policy.isImmutable(name, tag)),
    ).toBe(true);
    expect(policy.isImmutable('prod', 'v1') || policy.isImmutable('other', 'v1')).toBe(false);
    expect(policy.isImmutable('prod/a', 'latest')).toBe(false);
  });

  test('takes the quota of the first rule that has one', () => {
    expect(['prod/huge', 'prod/a', 'base', 'other'].map((name) => policy.quotaBytes(name))).toEqual([
      500,
      100,
      100,
      undefined,
    ]);
  });

  test.each([
    [{}, 'policy: want a list'],
    [[{ repositories: [], quotaBytes: 1 }], 'policy[0].repositories: want at least one'],
    [[{ repositories: ['a'] }], 'policy[0]: want immutableTags or quotaBytes'],
    [[{ repositories: ['a'], quotaBytes: -1 }], 'policy[0].quotaBytes: want an integer of at least 0'],
    [[{ repositories: ['a'], quotaBytes: '5G' }], 'policy[0].quotaBytes: want an integer'],
    [[{ repositories: [''], quotaBytes: 1 }], 'policy[0].repositories[0]: want a text'],
    [[{ repositories: ['a'], immutable: ['v*'] }], 'policy[0].immutable: want one of repositories, immutableTags'],
  ])('%j is refused', (value, message) => {
    expect(() => parsePolicy(value)).toThrow(message);
  });

  test('is read from plain data', () => {
    const rules = [{ repositories: ['prod/**'], immutableTags: ['v*'], quotaBytes: 0 }];
    expect(parsePolicy(rules)).toEqual(rules);
  });
});
