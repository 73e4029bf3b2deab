import { describe, expect, test } from '@jest/globals';
import { parseEnvFile } from './env-file.ts';
import { interpolate } from './interpolation.ts';

const env = new Map([
  ['A', 'x'],
  ['EMPTY', ''],
  ['TRICKY', '${A}$A'],
]);

describe('interpolate', () => {
  test.each([
    ['plain', 'plain'],
    ['$A-${A}', 'x-x'],
    ['$$A $$${A}', '$A $x'],
    ['$UNSET|${UNSET}', '|'],
    ['${UNSET:-d}|${EMPTY:-d}|${A:-d}', 'd|d|x'],
    ['${UNSET-d}|${EMPTY-d}|${A-d}', 'd||x'],
    ['${UNSET:+r}|${EMPTY:+r}|${A:+r}', '||r'],
    ['${UNSET+r}|${EMPTY+r}|${A+r}', '|r|r'],
    ['${A?e}${EMPTY?e}${A:?e}', 'xx'],
    ['${UNSET:-${EMPTY:-${A}!}}', 'x!'],
    ['${UNSET:-a $$ b}', 'a $ b'],
    ['${TRICKY}', '${A}$A'],
    ['${A:-${NEEDED:?no}}', 'x'],
  ])('%s → %s', (text, expected) => {
    expect(interpolate(text, env)).toBe(expected);
  });

  test.each(['$', 'a $ b', '${', '${}', '${A', '${A:', '${A:=x}', '${A/x/y}', '${UNSET:-${A}', '$1', '${-x}', '${A:}'])(
    '%s is malformed',
    (text) => {
      expect(() => interpolate(text, env)).toThrow('cannot interpolate');
    },
  );

  test('says which variable is required', () => {
    expect(() => interpolate('${KEY:?set it to $A}', env)).toThrow('required variable KEY is not set: set it to x');
    expect(() => interpolate('${EMPTY:?}', env)).toThrow('required variable EMPTY is empty');
  });

  test('reports unset variables, and knows no inherited ones', () => {
    const unset: string[] = [];
    expect(interpolate('$A $B ${constructor} ${C:-x}', env, { onUnset: (name) => unset.push(name) })).toBe('x   x');
    expect(unset).toEqual(['B', 'constructor']);
  });

  test('nests and grows only so far', () => {
    expect(() => interpolate('${U:-'.repeat(10_000) + '}'.repeat(10_000), env)).toThrow('nest over 50 deep');
    expect(interpolate('${A:-' + '${U:-'.repeat(10_000) + '}'.repeat(10_001), env)).toBe('x');
    expect(() => interpolate('$L$L', new Map([['L', 'x'.repeat(600_000)]]))).toThrow('grows over');
  });
});

describe('parseEnvFile', () => {
  test('reads names, quotes, comments and variables', () => {
    const text = `\uFEFF# comment
A=1
 export B = two words # not this
C='$A # literal'
D="$A\\n\\$A \\"q\\"" # tail
E=\${A:-0}#not-a-comment
F=
G: yaml
MULTI="line 1
line 2"
INHERITED
ABSENT
H=$OUTER
`;
    const found = parseEnvFile(text, {
      env: new Map([
        ['INHERITED', 'i'],
        ['OUTER', 'o'],
      ]),
    });
    expect(Object.fromEntries(found)).toEqual({
      A: '1',
      B: 'two words',
      C: '$A # literal',
      D: '1\n$A "q"',
      E: '1#not-a-comment',
      F: '',
      G: 'yaml',
      MULTI: 'line 1\nline 2',
      INHERITED: 'i',
      H: 'o',
    });
  });

  test('takes raw values as they are', () => {
    expect(Object.fromEntries(parseEnvFile('A="$B" # x\n', { format: 'raw' }))).toEqual({ A: '"$B" # x' });
  });

  test.each([
    ['A=1\n=x', '.env:2: "" is no variable name'],
    ['A="x', '.env:1: the quote " is not closed'],
    ["A='x' y", '.env:1: unexpected "y"'],
    ['A B=1', '"A B" is no variable name'],
  ])('refuses %j', (text, message) => {
    expect(() => parseEnvFile(text)).toThrow(message);
  });
});
