import { describe, expect, it } from '@jest/globals';

import { parseMount } from './mount.ts';
import { parseTmpfs } from './tmpfs.ts';
import { absolutePath, parseVolume } from './volume.ts';

const here = { workingDir: '/home/me/project', homeDir: '/home/me' };
const volume = (word: string) => parseVolume(word, here);

describe('parseVolume', () => {
  it('makes relative sources absolute and creates what is missing', () => {
    const bind = { type: 'bind', target: '/data', createSource: true };
    expect(volume('/a:/data').mount).toEqual({ ...bind, source: '/a' });
    expect(volume('.:/data:ro').mount).toEqual({ ...bind, source: '/home/me/project', readOnly: true });
    expect(volume('../x/./y:/data').mount).toEqual({ ...bind, source: '/home/me/x/y' });
    expect(volume('~/z:/data:rslave,cached').mount).toEqual({ ...bind, source: '/home/me/z', propagation: 'rslave' });
  });
  it('knows named and anonymous volumes', () => {
    expect(volume('db:/data:nocopy').mount).toEqual({ type: 'volume', source: 'db', target: '/data', noCopy: true });
    expect(volume('/data').mount).toEqual({ type: 'volume', target: '/data' });
    expect(volume('db:/data:ro,z')).toEqual({
      mount: { type: 'volume', source: 'db', target: '/data', readOnly: true },
      relabel: true,
    });
  });
  it.each([
    '',
    'a::b',
    '/a:/b:ro:x',
    '/a:b',
    '/a:/',
    '/a:/b:ro,rw',
    '/a:/b:what',
    'd b:/x',
    '/a:/b:nocopy',
    'db:/x:rshared',
  ])('refuses %j', (word) => {
    expect(() => volume(word)).toThrow(expect.objectContaining({ code: 'CLI_BAD_VALUE' }));
  });
  it('never climbs above the root', () => {
    expect(absolutePath('/../../etc//x', here)).toBe('/etc/x');
  });
});

describe('parseMount', () => {
  const mount = (word: string) => parseMount(word, here);
  it('reads every type', () => {
    expect(mount('type=bind,src=./x,dst=/y,readonly,bind-propagation=rslave')).toEqual({
      type: 'bind',
      source: '/home/me/project/x',
      target: '/y',
      readOnly: true,
      propagation: 'rslave',
    });
    expect(mount('source=db,"target=/with,comma",ro=false')).toEqual({
      type: 'volume',
      source: 'db',
      target: '/with,comma',
    });
    expect(mount('type=tmpfs,destination=/t,tmpfs-size=64m,tmpfs-mode=0700')).toEqual({
      type: 'tmpfs',
      target: '/t',
      sizeBytes: 64 * 1024 ** 2,
      mode: 0o700,
    });
  });
  it.each([
    ['type=bind,dst=/x', 'source is required for a bind mount'],
    ['type=bind,src=/x', 'target is required'],
    ['type=what,dst=/x', "mount type unknown: 'what'"],
    ['type=bind,src=/x,dst=/y,tmpfs-size=1', "cannot mix 'tmpfs-size' with mount type 'bind'"],
    ['dst=/x,foo=1', "unexpected key 'foo' in 'foo=1'"],
    ['dst=/x,source', "invalid field 'source' must be a key=value pair"],
    ['dst=/x,ro=maybe', 'invalid value for ro: maybe'],
    ['dst=/x,volume-opt=a=b', "'volume-opt' in --mount is not supported yet"],
    ['dst="/x', 'bad quotes in "dst="/x"'],
  ])('refuses %s', (word, message) => {
    expect(() => mount(word)).toThrow(message);
  });
});

describe('parseTmpfs', () => {
  it('takes size and mode apart from the other options', () => {
    expect(parseTmpfs('/run:rw,noexec,size=65536k,mode=1777,uid=1000')).toEqual({
      type: 'tmpfs',
      target: '/run',
      sizeBytes: 64 * 1024 ** 2,
      mode: 0o1777,
      options: ['rw', 'noexec', 'uid=1000'],
    });
    expect(parseTmpfs('/run')).toEqual({ type: 'tmpfs', target: '/run' });
  });
  it.each(['run', '/', '/run:what', '/run:size=x', '/run:mode=9'])('refuses %s', (word) => {
    expect(() => parseTmpfs(word)).toThrow(expect.objectContaining({ code: 'CLI_BAD_VALUE' }));
  });
});
