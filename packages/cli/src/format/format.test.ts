import { describe, expect, it } from '@jest/globals';

import { goTimestamp, humanDuration } from './duration.ts';
import { formatListing } from './listing.ts';
import { ellipsis, shortId } from './shorten.ts';
import { binarySize, humanSize } from './size.ts';
import { alignTabs } from './table.ts';

describe('humanDuration', () => {
  const second = 1000;
  const hour = 3600 * second;
  it.each([
    [900, 'Less than a second'],
    [second, '1 second'],
    [59 * second, '59 seconds'],
    [90 * second, 'About a minute'],
    [5 * 60 * second, '5 minutes'],
    [hour, 'About an hour'],
    [47 * hour, '47 hours'],
    [48 * hour, '2 days'],
    [14 * 24 * hour, '2 weeks'],
    [61 * 24 * hour, '2 months'],
    [800 * 24 * hour, '2 years'],
  ])('%d ms', (milliseconds, words) => {
    expect(humanDuration(milliseconds)).toBe(words);
  });
});

it('goTimestamp names the zone', () => {
  expect(goTimestamp(new Date(2026, 0, 2, 3, 4, 5))).toMatch(/^2026-01-02 03:04:05 [+-]\d{4} \S+$/);
});

describe('sizes', () => {
  it.each([
    [0, '0B'],
    [999, '999B'],
    [1000, '1kB'],
    [1234567, '1.23MB'],
    [78_123_456, '78.1MB'],
    [999_900, '1MB'],
  ])('%d bytes', (bytes, words) => {
    expect(humanSize(bytes)).toBe(words);
  });
  it('counts memory by 1024', () => {
    expect(binarySize(16_742_617_088)).toBe('15.59GiB');
  });
});

describe('shorten', () => {
  it('cuts ids and words', () => {
    expect(shortId('sha256:0123456789abcdef')).toBe('0123456789ab');
    expect(ellipsis('"/docker-entrypoint.sh"', 20)).toBe('"/docker-entrypoint…');
    expect(ellipsis('short', 20)).toBe('short');
  });
});

describe('alignTabs', () => {
  it('spaces columns as Docker does', () => {
    expect(alignTabs(['CONTAINER ID\tIMAGE\tNAMES', '0123456789ab\tdebian:bookworm\tx'])).toBe(
      'CONTAINER ID   IMAGE             NAMES\n0123456789ab   debian:bookworm   x\n',
    );
    expect(alignTabs(['A\tB', 'x\t'])).toBe('A         B\nx         \n');
  });
});

describe('formatListing', () => {
  const listing = {
    columns: '{{.ID}}\t{{.Names}}',
    headings: { ID: 'CONTAINER ID', Names: 'NAMES' },
    rows: [{ ID: 'abc', Names: 'web', Label: (name: unknown) => `<${String(name)}>` }],
    idField: 'ID',
  };
  it('knows tables, json, templates and quiet', () => {
    expect(formatListing(listing)).toBe('CONTAINER ID   NAMES\nabc            web\n');
    expect(formatListing(listing, { format: 'table {{.Names}}\\t{{.Label "com.x.some-name"}}' })).toBe(
      'NAMES     some name\nweb       <com.x.some-name>\n',
    );
    expect(formatListing(listing, { format: 'json' })).toBe('{"ID":"abc","Names":"web"}\n');
    expect(formatListing(listing, { format: '{{.ID}}: {{.Names}}' })).toBe('abc: web\n');
    expect(formatListing(listing, { quiet: true })).toBe('abc\n');
    expect(formatListing({ ...listing, rows: [] }, { quiet: true })).toBe('');
  });
});
