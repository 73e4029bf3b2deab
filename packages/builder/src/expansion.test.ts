import { describe, expect, test } from '@jest/globals';
import { expandWord, expandWords, unsetVariables } from './expansion.ts';

const scope = (variables: Readonly<Record<string, string>>) => ({ variables: new Map(Object.entries(variables)) });

describe('expandWord', () => {
  const plain = scope({ HOME: '/home', KOREAN: '한국어', NULL: '', A: 'a b' });
  test.each([
    ['hello', 'hello'],
    ["he'll'o", 'hello'],
    ["he'll", undefined],
    ["he\\'ll", "he'll"],
    ['he\\\\ll', 'he\\ll'],
    ['abc\\', 'abc'],
    ['"he\\nll"', 'he\\nll'],
    ['"he\\"ll\\$"', 'he"ll$'],
    ['"abc', undefined],
    ['$HOME', '/home'],
    ['"$HOME"', '/home'],
    ["'$HOME'", '$HOME'],
    ['\\$HOME', '$HOME'],
    ['$HOME.', '/home.'],
    ['$HOMEx', ''],
    ['${HOME}x', '/homex'],
    ['${HOME', undefined],
    ['${}', undefined],
    ['${{x}}', undefined],
    ['${:x}', undefined],
    ['$', '$'],
    ['he$,', 'he$,'],
    ['he$1x$12y', 'hexy'],
    ['he$@x', 'hex'],
    ['$KOREAN 안', '한국어 안'],
    ['${UNSET:-x${HOME}}', 'x/home'],
    ['${UNSET:-${ALSO:-deep}}', 'deep'],
    ['${NULL:-x}|${NULL-x}|${NULL:+x}|${NULL+x}', 'x|||x'],
    ['${UNSET:-x}|${UNSET-x}|${UNSET:+x}|${UNSET+x}', 'x|x||'],
    ['${HOME:-x}|${HOME:+x}|${HOME?x}|${HOME:?x}', '/home|x|/home|/home'],
    ['${UNSET?x}', undefined],
    ['${NULL:?x}', undefined],
    ['${NULL?x}', ''],
    ['${HOME=x}', undefined],
    ['${HOME:#x}', undefined],
    ["${UNSET:-'a}b'}", 'a}b'],
    ['${UNSET:-a\\}b}', 'a}b'],
  ])('%s → %s', (word, expected) => {
    if (expected === undefined) expect(() => expandWord(word, plain)).toThrow('cannot expand');
    else expect(expandWord(word, plain)).toBe(expected);
  });

  test.each([
    ['xxyy', '${V#*x}', 'xyy'],
    ['xxyy', '${V##*x}', 'yy'],
    ['xxyy', '${V#*x*y}', 'y'],
    ['xxyy', '${V#}', 'xxyy'],
    ['xxyy', '${V#*}', 'xxyy'],
    ['xxyy', '${V##*}', ''],
    ['???y', '${V#?\\?}', '?y'],
    ['a***yy*', '${V%%\\**\\*}', 'a'],
    ['xxyy', '${V%y*}', 'xxy'],
    ['xxyy', '${V%%y*}', 'xx'],
    ['a.tar.gz', '${V%.*}', 'a.tar'],
    ['a.tar.gz', '${V%%.*}', 'a'],
    ['()[]{}^$.*?|\\x', '${V#()[]{\\}^$.\\*\\?|\\\\}', 'x'],
    ['/a/foo/b/c.txt', '${V/\\/?\\//\\/}', '\\/foo/b/c.txt'],
    ['/foo*/*/*.txt', '${V/\\*\\//.} ${V//\\*\\//.}', '/foo.*/*.txt /foo..*.txt'],
    ['aXbXc', '${V//X/--}', 'a--b--c'],
    ['aXbXc', '${V/X*/-}', 'a-'],
    ['aaa', '${V//a/b}', 'bbb'],
    ['abc', '${V//?/z}', 'zzz'],
    ['abc', '${V/z/x}', 'abc'],
    ['xxyy', '${V//ww}', undefined],
    ['xxyy', '${V#\\q}', undefined],
  ])('%s in %s → %s', (value, word, expected) => {
    const values = scope({ V: value });
    if (expected === undefined) expect(() => expandWord(word, values)).toThrow('cannot expand');
    else expect(expandWord(word, values)).toBe(expected);
  });

  test('takes a pattern from a variable', () => {
    const values = scope({ FOO: '/tmp/tmp/bar.txt', NEEDLE: '/tmp', NEW: 'x' });
    expect(expandWord('${FOO/$NEEDLE/} ${FOO//$NEEDLE/$NEW}', values)).toBe('/tmp/bar.txt xx/bar.txt');
  });

  test('says what a required variable asks for', () => {
    expect(() => expandWord('${KEY:?set KEY for $HOME}', plain)).toThrow('KEY: set KEY for /home');
    expect(() => expandWord('${KEY?}', plain)).toThrow('KEY: is not set');
  });

  test('honours the escape character, and leaves quotes of here-documents', () => {
    expect(expandWord('`$HOME \\$HOME', { ...plain, escape: '`' })).toBe('$HOME \\/home');
    expect(expandWord(`"it's" $HOME`, { ...plain, quotes: 'keep' })).toBe(`"it's" /home`);
  });

  test('knows no inherited names', () => {
    expect(expandWord('[$constructor$__proto__]', scope({}))).toBe('[]');
  });

  test('reports what was not set', () => {
    expect([...unsetVariables('$A $B ${C:-x}', plain)]).toEqual(['B', 'C']);
  });
});

test('expandWords splits what unquoted variables bring', () => {
  const values = scope({ PORTS: '80  443/udp ', ONE: '1' });
  expect(expandWords('$PORTS', values)).toEqual(['80', '443/udp']);
  expect(expandWords('"$PORTS"x$ONE y\\ z', values)).toEqual(['80  443/udp x1', 'y z']);
});

describe('hostile words', () => {
  const nested = (depth: number): string => '${A:-'.repeat(depth) + 'x' + '}'.repeat(depth);

  test('nest only so deep', () => {
    expect(expandWord(nested(100), scope({}))).toBe('x');
    expect(() => expandWord(nested(10_000), scope({}))).toThrow('nested over 100 deep');
  });

  test('grow only so long', () => {
    const values = scope({ A: 'x'.repeat(600_000) });
    expect(() => expandWord('$A$A', values)).toThrow('over 1048576 characters');
  });

  test('cost little, whatever the pattern', () => {
    const started = performance.now();
    const values = scope({ V: 'a'.repeat(20_000) });
    expect(expandWord(`\${V##${'*a'.repeat(50)}b}`, values)).toHaveLength(20_000);
    expect(expandWord(`\${V//${'*a'.repeat(50)}b/x}`, values)).toHaveLength(20_000);
    expect(() => expandWord(`\${V#${'a'.repeat(2000)}}`, values)).toThrow('too long');
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
