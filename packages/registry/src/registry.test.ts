import { describe, expect, test } from '@jest/globals';
import { errorBody, RegistryError } from './errors.ts';
import { isDigest, isName, isTag } from './names.ts';
import { compareBytes, formatNextLink, parsePage, takePage } from './pagination.ts';
import { checkChunkFollows, formatReceived, parseChunkRange, parseRange } from './ranges.ts';

describe('names', () => {
  test.each(['a', 'a/b', 'a.b', 'a_b', 'a__b', 'a-b', 'a---b', '0', 'library/node'])('%s is a name', (name) => {
    expect(isName(name)).toBe(true);
  });

  test.each([
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'A',
    'a..b',
    'a___b',
    'a._b',
    '-a',
    'a-',
    '.',
    '..',
    'ä',
    'a b',
    'a'.repeat(256),
  ])('%j is none', (name) => {
    expect(isName(name)).toBe(false);
  });

  test('tags and digests', () => {
    expect(['v1', '_x', 'A.b-c', 'x'.repeat(128)].every((tag) => isTag(tag))).toBe(true);
    expect(['', '.a', '-a', 'a/b', 'a:b', 'x'.repeat(129), 'é'].some((tag) => isTag(tag))).toBe(false);
    expect(isDigest(`sha256:${'0'.repeat(64)}`)).toBe(true);
    expect(
      ['', ':', 'sha256:', `sha256:${'g'.repeat(64)}`, `sha256:${'0'.repeat(63)}`, '__proto__:x'].some((text) =>
        isDigest(text),
      ),
    ).toBe(false);
  });
});

describe('ranges', () => {
  test.each([
    ['bytes=0-9', { first: 0, last: 9 }],
    ['bytes=5-', { first: 5, last: 99 }],
    ['bytes=90-200', { first: 90, last: 99 }],
    ['bytes=-10', { first: 90, last: 99 }],
    ['bytes=-1000', { first: 0, last: 99 }],
    ['Bytes=0-0', { first: 0, last: 0 }],
    [undefined, undefined],
    ['items=0-1', undefined],
    ['bytes=a-b', undefined],
    ['bytes=-', undefined],
    ['bytes=0-1,3-4', undefined],
    ['bytes=99999999999999999999-', undefined],
  ])('%s of 100 bytes', (header, range) => {
    expect(parseRange(header, 100)).toEqual(range);
  });

  test.each(['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=9-5'])('%s can not be satisfied', (header) => {
    expect(() => parseRange(header, 100)).toThrow(
      expect.objectContaining({ status: 416, headers: { 'Content-Range': 'bytes */100' } }),
    );
  });

  test('chunks', () => {
    expect(parseChunkRange('10-19', 10)).toEqual({ first: 10, last: 19 });
    expect(() => parseChunkRange('10-19', 9)).toThrow('Content-Range says 10 bytes, Content-Length 9');
    for (const bad of ['', '-', '1', '2-1', 'bytes 0-1', '0x1-2'])
      expect(() => parseChunkRange(bad)).toThrow('first-last');
    expect(() => {
      checkChunkFollows({ first: 0, last: 9 }, 10);
    }).toThrow(expect.objectContaining({ status: 416, headers: { Range: '0-9' } }));
    expect([formatReceived(0), formatReceived(1), formatReceived(10)]).toEqual(['0-0', '0-0', '0-9']);
  });
});

describe('pages', () => {
  const tags = ['A', 'a', 'b', 'c'];
  test('are cut from a sorted list', () => {
    expect(takePage(tags, { limit: 2, after: undefined })).toEqual({ entries: ['A', 'a'], next: 'a' });
    expect(takePage(tags, { limit: 2, after: 'a' })).toEqual({ entries: ['b', 'c'], next: undefined });
    expect(takePage(tags, { limit: undefined, after: 'aa' })).toEqual({ entries: ['b', 'c'], next: undefined });
    expect(takePage(tags, { limit: 0, after: undefined })).toEqual({ entries: [], next: undefined });
    expect(takePage(tags, { limit: 9, after: 'z' }).entries).toEqual([]);
  });

  test('lead to the next one', () => {
    expect(formatNextLink('/v2/a/tags/list', 'x y', 2)).toBe('</v2/a/tags/list?n=2&last=x+y>; rel="next"');
    expect(parsePage(new URLSearchParams('last=x&n=3'))).toEqual({ limit: 3, after: 'x' });
    expect(() => parsePage(new URLSearchParams('n=1e3'))).toThrow('n is a count');
    expect(['ä', 'z', 'Z'].sort(compareBytes)).toEqual(['Z', 'z', 'ä']);
  });
});

test('errors are sent as the specification writes them', () => {
  const error = new RegistryError('BLOB_UNKNOWN', 'no such blob', { detail: { digest: 'x' } });
  expect(error.status).toBe(404);
  expect(JSON.stringify(errorBody(error))).toBe(
    '{"errors":[{"code":"BLOB_UNKNOWN","message":"no such blob","detail":{"digest":"x"}}]}',
  );
});
