import { describe, expect, test } from '@jest/globals';

import { resolveUser } from './user.ts';

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin

app:x:1000:1000:An App,,,:/home/app:/bin/sh
1000:x:0:0:a name of digits:/root:/bin/sh
0:x:1234:1234:a user named 0:/home/zero:/bin/sh
wrapped:x:4294967296:4294967296::/:/bin/sh
nobody:x:65534:65534::/nonexistent:/bin/false
empty:x::::/:
negative:x:-1:-1::/:
above:x:2147483648:0::/:
homeless:x:1001:1001
relative:x:1002:1002::home/relative:/bin/sh
carriage:x:1003:1003::/home/a\rEVIL=1:/bin/sh
`;
const group = `root:x:0:
wheel:x:10:root,app
audio:x:29:app
app:x:1000:
apple:x:30:app1, apple
1000:x:77:app
broken:x:many:app
high:x:4294967296:app
`;
const files = { passwd, group };
const refused = (code: string): unknown => expect.objectContaining({ code });

describe('a user', () => {
  test.each([
    ['', { uid: 0, gid: 0, additionalGids: [0, 10], home: '/root', username: 'root' }],
    ['root', { uid: 0, gid: 0, additionalGids: [0, 10], home: '/root', username: 'root' }],
    ['0', { uid: 0, gid: 0, additionalGids: [0, 10], home: '/root', username: 'root' }],
    ['app', { uid: 1000, gid: 1000, additionalGids: [10, 29, 77, 1000], home: '/home/app', username: 'app' }],
    ['1000', { uid: 1000, gid: 1000, additionalGids: [10, 29, 77, 1000], home: '/home/app', username: 'app' }],
    ['app:', { uid: 1000, gid: 1000, additionalGids: [10, 29, 77, 1000], home: '/home/app', username: 'app' }],
    ['app:audio', { uid: 1000, gid: 29, additionalGids: [29], home: '/home/app', username: 'app' }],
    ['app:1000', { uid: 1000, gid: 1000, additionalGids: [1000], home: '/home/app', username: 'app' }],
    ['1000:29', { uid: 1000, gid: 29, additionalGids: [29], home: '/home/app', username: 'app' }],
    [':audio', { uid: 0, gid: 29, additionalGids: [29], home: '/root', username: 'root' }],
    ['4242', { uid: 4242, gid: 0, additionalGids: [0], home: '/', username: undefined }],
    ['4242:4243', { uid: 4242, gid: 4243, additionalGids: [4243], home: '/', username: undefined }],
    ['2147483647', { uid: 2147483647, gid: 0, additionalGids: [0], home: '/', username: undefined }],
    ['1234', { uid: 1234, gid: 1234, additionalGids: [1234], home: '/home/zero', username: '0' }],
  ])('%j', (spec, expected) => {
    expect(resolveUser(spec, files)).toEqual(expected);
  });

  test.each(['4294967296', '4294967295', '2147483648', '99999999999999999999999999', '0:4294967296', 'app:2147483648'])(
    '%j is out of range and never wraps to root',
    (spec) => {
      expect(() => resolveUser(spec, files)).toThrow(refused('RUNTIME_INVALID_USER'));
      expect(() => resolveUser(spec, files)).toThrow(/ids must be in range 0-2147483647/);
    },
  );

  test.each([
    '-1',
    '+0',
    '-0',
    '0x0',
    '0.0',
    '1e3',
    '١',
    '０',
    '1000 ',
    ' 0',
    ' ',
    'root ',
    'ROOT',
    'wrapped',
    'empty',
    'negative',
  ])('%j is nobody', (spec) => expect(() => resolveUser(spec, files)).toThrow(refused('RUNTIME_UNKNOWN_USER')));

  test.each(['above', 'homeless', 'relative', 'carriage'])('%s: a broken line or home harms nobody', (spec) => {
    if (spec === 'above') expect(() => resolveUser(spec, files)).toThrow(refused('RUNTIME_UNKNOWN_USER'));
    else expect(resolveUser(spec, files).home).toBe('/');
  });

  test('says who was not found, in Docker’s words and on one line', () => {
    expect(() => resolveUser('foo', files)).toThrow('unable to find user foo: no matching entries in passwd file');
    expect(() => resolveUser('app:foo', files)).toThrow('unable to find group foo: no matching entries in group file');
    expect(() => resolveUser('a\nb', files)).toThrow('unable to find user "a\\nb": no');
    expect(() => resolveUser('app:audio:x', files)).toThrow('unable to find group audio:x');
  });

  test('without the files, root and numbers are all there is', () => {
    const none = { passwd: '', group: '' };
    expect(resolveUser('', none)).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: '/', username: undefined });
    expect(resolveUser('7:8', none)).toMatchObject({ uid: 7, gid: 8, additionalGids: [8] });
    expect(() => resolveUser('root', none)).toThrow(refused('RUNTIME_UNKNOWN_USER'));
  });
});

describe('added groups', () => {
  test('are names or numbers, of which a number is never a name', () => {
    const resolve = (...groupAdd: readonly string[]): readonly number[] =>
      resolveUser('4242', files, { groupAdd }).additionalGids;
    expect(resolve('audio', '5', 'audio', '1000')).toEqual([0, 5, 29, 1000]);
    expect(() => resolve('nosuch')).toThrow('unable to find group nosuch: no matching entries in group file');
    expect(() => resolve('broken')).toThrow(refused('RUNTIME_UNKNOWN_USER'));
    expect(() => resolve('4294967296')).toThrow(refused('RUNTIME_INVALID_USER'));
  });
});

describe('files made to hurt', () => {
  test('too large', () => {
    const large = { passwd: 'x'.repeat(11 * 1024 * 1024), group: '' };
    expect(() => resolveUser('app', large)).toThrow(refused('RUNTIME_USER_FILE_TOO_LARGE'));
    expect(() => resolveUser('app', { passwd: '\n'.repeat(1_000_002), group: '' })).toThrow(/1000000 lines/);
  });

  test('more groups than the kernel takes', () => {
    const many = Array.from({ length: 70_000 }, (_, gid) => `g:x:${String(gid)}:app`).join('\n');
    expect(() => resolveUser('app', { passwd, group: many })).toThrow(refused('RUNTIME_INVALID_USER'));
  });

  test('ten megabytes of colons, commas or spaces take no time', () => {
    const start = performance.now();
    for (const text of [':', ',', ' ', 'app:x:1:app,']) {
      const hostile = text.repeat(Math.floor((10 * 1024 * 1024) / text.length));
      resolveUser('app', { passwd, group: `${hostile.slice(0, -64)}\n` });
      expect(() => resolveUser('foo', { passwd: hostile, group: '' })).toThrow(refused('RUNTIME_UNKNOWN_USER'));
    }
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
