import { describe, expect, it } from '@jest/globals';
import { digestOf, emptyImage, imageId } from '@tsc/image';
import type { StoredImage } from '@tsc/image';

import { imageMatches, imageRows, matchesPattern, narrowNames, parseImageFilters } from './image-row.ts';

const now = new Date('2026-03-01T00:00:00Z');
const [one, two] = [digestOf('1'), digestOf('2')];

const stored = (change: Partial<StoredImage> = {}): StoredImage => {
  const image = emptyImage();
  return {
    id: imageId(image),
    names: ['debian:12'],
    repoDigests: [],
    manifestDigest: one,
    layers: [],
    config: { ...image.config, config: { Labels: { role: 'base' } } },
    layerDirs: [],
    sizeBytes: 78_123_456,
    created: '2026-02-01T00:00:00Z',
    ...change,
  };
};

const places = (image: StoredImage, digests: boolean) =>
  imageRows(image, { now, truncate: true, digests }).map(({ Repository, Tag, Digest }) => [Repository, Tag, Digest]);

describe('rows of images', () => {
  it('have the fields of Docker', () => {
    const [row] = imageRows(stored(), { now, truncate: true, digests: false });
    expect(row).toMatchObject({
      Repository: 'debian',
      Tag: '12',
      Digest: '<none>',
      Size: '78.1MB',
      VirtualSize: '78.1MB',
    });
    expect(row).toMatchObject({ CreatedSince: '4 weeks ago', Containers: 'N/A', ID: stored().id.slice(7, 19) });
  });

  it('are one for each name, and with digests one for each of these', () => {
    const image = stored({
      names: ['app:1', 'app:2', 'other:1'],
      repoDigests: [`app@${one}`, `app@${two}`, `localhost:5000/app@${one}`],
    });
    expect(places(image, false)).toEqual([
      ['app', '1', '<none>'],
      ['app', '2', '<none>'],
      ['other', '1', '<none>'],
      ['localhost:5000/app', '<none>', '<none>'],
    ]);
    expect(places(image, true)).toEqual([
      ['app', '1', one],
      ['app', '1', two],
      ['app', '2', one],
      ['app', '2', two],
      ['other', '1', '<none>'],
      ['localhost:5000/app', '<none>', one],
    ]);
    expect(places(stored({ names: [] }), true)).toEqual([['<none>', '<none>', '<none>']]);
  });
});

describe('filters of images', () => {
  const bounds = { before: undefined, since: undefined };
  const keeps = (image: StoredImage, ...words: readonly string[]) =>
    imageMatches(image, parseImageFilters(words), bounds);

  it('know dangling images, and those that have a digest only as both', () => {
    const dangling = stored({ names: [] });
    const byDigest = stored({ names: [], repoDigests: [`debian@${one}`] });
    expect([stored(), byDigest, dangling].map((image) => keeps(image, 'dangling=true'))).toEqual([false, true, true]);
    expect([stored(), byDigest, dangling].map((image) => keeps(image, 'dangling=0'))).toEqual([true, true, false]);
  });

  it('know labels and moments', () => {
    expect([keeps(stored(), 'label=role'), keeps(stored(), 'label=role=base', 'label=x')]).toEqual([true, false]);
    const at = (before?: string, since?: string) =>
      imageMatches(stored(), new Map(), {
        before: before === undefined ? undefined : new Date(before),
        since: since === undefined ? undefined : new Date(since),
      });
    expect([at('2026-02-01'), at('2026-02-02'), at(undefined, '2026-02-01'), at(undefined, '2026-01-01')]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  it.each([
    [['dangling=maybe'], "invalid filter 'dangling=maybe'"],
    [['until=1h', 'until=2h'], 'more than one until filter specified'],
    [['color=red'], "invalid filter 'color'"],
  ])('refuse %j', (words, message) => {
    expect(() => parseImageFilters(words)).toThrow(message);
  });

  it('keep the names that a pattern matches', () => {
    const image = stored({ names: ['app:1', 'web:1'], repoDigests: [`app@${one}`] });
    expect(narrowNames(image, ['app'])).toMatchObject({ names: ['app:1'], repoDigests: [`app@${one}`] });
    expect(narrowNames(image, ['web:*', 'x'])).toMatchObject({ names: ['web:1'], repoDigests: [] });
    expect(narrowNames(image, [])).toBe(image);
  });
});

describe('patterns of names', () => {
  it.each([
    ['debian', true],
    ['debian:12', true],
    ['deb*', true],
    ['*:12', true],
    ['debian:1?', true],
    ['debian:[0-9]2', true],
    ['debian:[^0-9]2', false],
    ['debian:1\\2', true],
    ['debia', false],
    ['d.bian', false],
  ])('%s', (pattern, expected) => {
    expect(matchesPattern('debian:12', pattern)).toBe(expected);
  });
  it('do not go past a slash', () => {
    expect([matchesPattern('a/b:1', '*'), matchesPattern('a/b:1', '*/*'), matchesPattern(`a/b@${one}`, 'a/b')]).toEqual(
      [false, true, true],
    );
    expect(() => matchesPattern('a', '[')).toThrow("invalid filter 'reference=['");
  });
});
