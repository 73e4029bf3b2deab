import { expect, test } from '@jest/globals';

import { formatExactJson, parseExactJson } from './exact-json.ts';

test('integers beyond 2⁵³ go there and back unharmed', () => {
  const text = '{"soft":18446744073709551615,"low":-9007199254740993,"small":7,"half":0.5,"large":1e300}';
  const value = parseExactJson(text);
  expect(value).toEqual({ soft: 18446744073709551615n, low: -9007199254740993n, small: 7, half: 0.5, large: 1e300 });
  expect(parseExactJson(formatExactJson(value))).toEqual(value);
  expect(formatExactJson({ soft: 2n ** 64n - 1n }, { indent: 1 })).toBe('{\n "soft": 18446744073709551615\n}');
});
