import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from '@jest/globals';

import {
  checkName,
  findContainerId,
  nameHolder,
  namesOf,
  releaseName,
  takeGeneratedName,
  takeName,
} from './container-name.ts';
import { containerPaths, makeLayout } from './layout.ts';
import type { Layout } from './layout.ts';

let layout: Layout;
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'names-'));
  layout = { rootDir: join(dir, 'root'), runDir: join(dir, 'run') };
  makeLayout(layout);
});
afterEach(() => {
  rmSync(join(layout.rootDir, '..'), { recursive: true });
});

const idOf = (start: string): string => start.padEnd(64, '0');

/** A container as far as names are concerned. */
function container(start: string, name: string): string {
  const id = idOf(start);
  const paths = containerPaths(layout, id);
  mkdirSync(paths.dir);
  writeFileSync(paths.record, JSON.stringify({ id, name }));
  return id;
}

it('is taken by one, and free when that one gives it up', () => {
  const [one, two] = [container('a1', 'box'), container('a2', 'other')];
  takeName(layout, 'box', one);
  expect(() => {
    takeName(layout, 'box', two);
  }).toThrow(`conflict: the container name "/box" is already in use by container "${one}"`);
  releaseName(layout, 'box', two); // not theirs
  expect(nameHolder(layout, 'box')).toBe(one);
  releaseName(layout, 'box', one);
  takeName(layout, 'box', two);
  expect(namesOf(layout, two)).toEqual(['box']);
});

it('is free when its holder is no container, or has another name', () => {
  takeName(layout, 'gone', idOf('b1'));
  const renamed = container('b2', 'new');
  takeName(layout, 'old', renamed);
  const next = container('b3', 'gone');
  takeName(layout, 'gone', next);
  takeName(layout, 'old', next);
  expect(namesOf(layout, next).toSorted()).toEqual(['gone', 'old']);
});

it.each(['', 'a', '.a', '-a', '_a', 'a/b', 'a b', 'a\n', '..', 'ä1', 'a'.repeat(256)])('is not %j', (name) => {
  expect(() => {
    checkName(name);
  }).toThrow('invalid container name');
});

it.each(['ab', 'A.b-c_1', '0x', 'a'.repeat(255)])('may be %j', checkName);

it('is made up where nobody gives one', () => {
  const names = Array.from({ length: 50 }, (_, number) =>
    takeGeneratedName(layout, container(number.toString(16).padStart(3, '0'), 'x')),
  );
  expect(new Set(names).size).toBe(50);
  for (const name of names) checkName(name);
});

it('means a container as well as its id and the beginning of that do', () => {
  const [one, two] = [container('abc1', 'box'), container('abc2', 'abc')];
  takeName(layout, 'box', one);
  takeName(layout, 'abc', two);
  expect(['box', '/box', 'abc1', one].map((reference) => findContainerId(layout, reference))).toEqual([
    one,
    one,
    one,
    one,
  ]);
  expect(findContainerId(layout, 'abc')).toBe(two); // a name comes first
  expect(() => findContainerId(layout, 'ab')).toThrow('multiple IDs found with provided prefix: ab');
  for (const reference of ['none', '', '../names/box', 'f']) {
    expect(() => findContainerId(layout, reference)).toThrow(`no such container: ${reference}`);
  }
});
