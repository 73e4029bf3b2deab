import { describe, expect, it } from '@jest/globals';

import { parseSearchFilters, searchMatches, searchRow } from './search.ts';

const result = {
  name: 'debian',
  description: 'An\nOS\u001b[2J of free software, and of a very long description',
  stars: 5,
  official: true,
};

describe('search', () => {
  it('shows a description as one short line', () => {
    expect(searchRow(result, { truncate: true })).toEqual({
      Name: 'debian',
      Description: 'An OS [2J of free software, and of a very lo…',
      StarCount: 5,
      IsOfficial: '[OK]',
    });
    expect(searchRow({ ...result, official: false }, { truncate: false })).toMatchObject({
      Description: 'An OS [2J of free software, and of a very long description',
      IsOfficial: '',
    });
  });

  it.each([
    [[], true],
    [['stars=5'], true],
    [['stars=6'], false],
    [['stars=1', 'stars=6'], false],
    [['is-official=true'], true],
    [['is-official=false'], false],
    [['stars=5', 'is-official=1'], true],
  ])('filters by %j', (words, matches) => {
    expect(searchMatches(result, parseSearchFilters(words))).toBe(matches);
  });

  it.each([['stars=many'], ['is-official=perhaps'], ['color=red'], ['stars']])('refuses %s', (word) => {
    expect(() => parseSearchFilters([word])).toThrow(/invalid (filter|argument)/);
  });
});
