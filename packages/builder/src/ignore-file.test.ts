import { describe, expect, test } from '@jest/globals';
import { canReinclude, ignorePatterns, isIgnored, parseIgnoreFile } from './ignore-file.ts';
import { compilePathPattern, matchesPath, matchesPathOrParent } from './path-pattern.ts';

describe('patterns', () => {
  test.each([
    ['**', 'dir/file', true],
    ['**/', 'file', true],
    ['**/**', 'dir/file', true],
    ['dir/**', 'dir/a/b', true],
    ['dir/**', 'dir', false],
    ['**/dir', 'dir', true],
    ['**/dir', 'a/b/dir', true],
    ['**/dir', 'xdir', false],
    ['**/dir2/*', 'dir/dir2/file', true],
    ['**/dir2/**', 'dir/dir2/dir3/file', true],
    ['**file', 'dir/dir/file', true],
    ['**file', 'afile', true],
    ['**file*', 'afile', false],
    ['**/file*txt', 'dir/dir/file.txt', true],
    ['**/**/*.txt', 'file.txt', true],
    ['**/**/*.txt2', 'dir/dir/file.txt', false],
    ['a**/*.txt', 'a/dir/dir/file.txt', true],
    ['a/*.txt', 'a/dir/file.txt', false],
    ['a/*.txt**', 'a/file.txt', true],
    ['a[b-d]e', 'ace', true],
    ['a[b-d]e', 'aae', false],
    ['a[^b-d]e', 'aze', true],
    ['[a-ζ]*', 'α', true],
    ['.*', 'foo', false],
    ['abc.def', 'abcZdef', false],
    ['abc?def', 'abcZdef', true],
    ['a?b', 'a/b', false],
    ['a?b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['a(b)c.|)$(}+{bc', 'a(b)c.|)$(}+{bc', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['[\\]a]', ']', true],
    ['[x\\-]', '-', true],
  ])('%s on %s: %s', (pattern, path, expected) => {
    expect(matchesPath(compilePathPattern(pattern), path)).toBe(expected);
  });

  test.each(['[]a]', '[-]', '[x-]', '[-x]', '\\', '[a-b-c]', '[', '[^', '[^bc', 'a['])('%s is malformed', (pattern) => {
    expect(() => compilePathPattern(pattern)).toThrow('malformed pattern');
  });

  test('match parents in the same walk', () => {
    expect(matchesPathOrParent(compilePathPattern('**/dir'), 'x/dir/file')).toBe(true);
    expect(matchesPathOrParent(compilePathPattern('a*'), 'abc/d')).toBe(true);
    expect(matchesPathOrParent(compilePathPattern('dir'), 'dir/file')).toBe(true);
    expect(matchesPathOrParent(compilePathPattern('dir'), 'directory')).toBe(false);
  });
});

describe('.dockerignore', () => {
  const ignored = (text: string, path: string): boolean => isIgnored(parseIgnoreFile(text), path);

  test('the last rule that matches decides', () => {
    expect(ignored('docs\n!docs/README.md', 'docs/README.md')).toBe(false);
    expect(ignored('docs/\n!docs/README.md', 'docs/other')).toBe(true);
    expect(ignored('!fileutils.go\n*.go', 'fileutils.go')).toBe(true);
    expect(ignored('**\n!util/docker/web', 'util/docker/web/foo')).toBe(false);
    expect(ignored('**\n!util/docker/web\nutil/docker/web/foo', 'util/docker/web/foo')).toBe(true);
    expect(ignored('*\n!dir1', 'dir1/a')).toBe(false);
  });

  test('patterns begin at the context, unlike those of git', () => {
    expect(ignored('*.log', 'a/b.log')).toBe(false);
    expect(ignored('**/*.log', 'a/b.log')).toBe(true);
    expect(ignored('/a/./b/', 'a/b')).toBe(true);
  });

  test('comments, spaces, blank lines, a byte order mark', () => {
    const rules = parseIgnoreFile('\uFEFF# note\n\n  a  \r\n ! b\n #c\n');
    expect(rules.rules.map((rule) => [rule.pattern.literal, rule.negated])).toEqual([
      ['a', false],
      ['b', true],
      ['#c', false],
    ]);
    expect(canReinclude(rules)).toBe(true);
  });

  test('never hides the context itself', () => {
    expect(ignored('*\n.', '.')).toBe(false);
  });

  test('says which line is wrong', () => {
    expect(() => parseIgnoreFile('a\n[', '.dockerignore')).toThrow('.dockerignore:2: malformed pattern [');
    expect(() => parseIgnoreFile('!')).toThrow('.dockerignore:1: ! needs a pattern');
  });

  test('hostile patterns take linear time', () => {
    const rules = ignorePatterns([`${'**/a*'.repeat(200)}b`, `${'*a'.repeat(500)}b`], 'test');
    const started = performance.now();
    expect(isIgnored(rules, 'a/'.repeat(2000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
