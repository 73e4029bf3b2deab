import { describe, expect, it } from '@jest/globals';

import { baseName, parentOf, parsePlace, planCopy } from './plan.ts';

const file = { path: '/src/f', isDirectory: false };
const directory = { path: '/src/d', isDirectory: true };
const missing = (path: string) => ({ path, exists: false, isDirectory: false });
const existingFile = (path: string) => ({ path, exists: true, isDirectory: false });
const existingDirectory = (path: string) => ({ path, exists: true, isDirectory: true });

describe('planCopy', () => {
  it('copies a file', () => {
    expect(planCopy(file, missing('/to/g'))).toEqual({ directory: '/to', name: 'g' });
    expect(planCopy(file, existingFile('/to/g'))).toEqual({ directory: '/to', name: 'g' });
    expect(planCopy(file, existingDirectory('/to'))).toEqual({ directory: '/to', name: 'f' });
    expect(planCopy(file, missing('g'))).toEqual({ directory: '.', name: 'g' });
  });
  it('copies a directory', () => {
    expect(planCopy(directory, missing('/to/e'))).toEqual({ directory: '/to', name: 'e' });
    expect(planCopy(directory, missing('/to/e/'))).toEqual({ directory: '/to', name: 'e' });
    expect(planCopy(directory, existingDirectory('/to'))).toEqual({ directory: '/to', name: 'd' });
  });
  it('copies the contents of a directory that ends in /.', () => {
    const contents = { path: '/src/d/.', isDirectory: true };
    expect(planCopy(contents, existingDirectory('/to'))).toEqual({ directory: '/to', name: undefined });
    expect(planCopy(contents, missing('/to'))).toEqual({ directory: '/', name: 'to' });
    expect(planCopy({ path: '.', isDirectory: true }, existingDirectory('/to')).name).toBeUndefined();
  });
  it.each([
    [file, missing('/to/'), 'no such directory: /to/'],
    [file, existingFile('/to/g/'), 'not a directory: /to/g/'],
    [directory, existingFile('/to/g'), 'cannot copy directory /src/d to /to/g: it is a file'],
    [{ path: '/src/f/', isDirectory: false }, existingDirectory('/to'), 'not a directory: /src/f/'],
  ])('refuses %j to %j', (source, destination, message) => {
    expect(() => planCopy(source, destination)).toThrow(message);
  });
});

describe('paths', () => {
  it('names the last component and the one before', () => {
    expect(['/a/b', 'b/', '/', '.', 'a/..', 'a/.'].map(baseName)).toEqual([
      'b',
      'b',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(['/a/b', '/a', 'a', '/a/b/', '/a/b/.', 'a/b'].map(parentOf)).toEqual(['/a', '/', '.', '/a', '/a', 'a']);
  });
  it('tells containers from files', () => {
    expect(parsePlace('web:etc/hosts')).toEqual({ type: 'container', reference: 'web', path: '/etc/hosts' });
    expect(parsePlace('web:/')).toEqual({ type: 'container', reference: 'web', path: '/' });
    expect(parsePlace('./a:b')).toEqual({ type: 'local', path: './a:b' });
    expect(parsePlace('/a:b')).toEqual({ type: 'local', path: '/a:b' });
    expect(parsePlace('plain')).toEqual({ type: 'local', path: 'plain' });
    expect(parsePlace('-')).toEqual({ type: 'stream' });
  });
});
