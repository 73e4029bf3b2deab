import { describe, expect, it } from '@jest/globals';

import { formatPlatform, hostPlatform, matchPlatform, normalizePlatform, parsePlatform } from './platform.ts';

describe('parsePlatform', () => {
  it.each([
    ['linux/arm64', 'linux/arm64'],
    ['linux/aarch64/v8', 'linux/arm64'],
    ['Linux/X86_64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/i386', 'linux/386'],
    ['macos/arm64/v9.0', 'darwin/arm64/v9'],
    ['arm64', 'linux/arm64'],
    ['windows(10.0.17763.1)/amd64', 'windows(10.0.17763.1)/amd64'],
    ['linux', `linux/${hostPlatform().architecture}`],
  ])('%s is %s', (text, said) => {
    expect(formatPlatform(parsePlatform(text)).startsWith(said)).toBe(true);
    expect(parsePlatform(formatPlatform(parsePlatform(text)))).toEqual(parsePlatform(text));
  });

  it.each(['', '/', 'linux/', 'nonsense', 'a/b/c/d', 'linux/arm v7', 'linux(/amd64', '../amd64', 'linux()/amd64'])(
    'refuses %j',
    (text) => {
      expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'PLATFORM_INVALID' }));
    },
  );
});

describe('matchPlatform', () => {
  const best = (wanted: string, ...offered: string[]): string | undefined => {
    const found = matchPlatform(parsePlatform(wanted), offered.map(parsePlatform));
    return found === undefined ? undefined : formatPlatform(found);
  };

  it.each([
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
    ['linux/arm/v7', ['linux/arm/v8'], undefined],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v5'], 'linux/arm/v5'],
    ['linux/arm', ['linux/arm/v5', 'linux/arm/v7'], 'linux/arm/v7'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'], 'linux/amd64/v2'],
    ['linux/amd64/v3', ['linux/386', 'linux/amd64'], 'linux/amd64'],
    ['linux/amd64', ['linux/amd64/v2'], undefined],
    ['linux/amd64', ['linux/386'], 'linux/386'],
    ['linux/arm64', ['linux/arm/v7', 'linux/arm64/v8'], 'linux/arm64'],
    ['linux/arm64', ['linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v7'],
    ['linux/arm64/v9.1', ['linux/arm64', 'linux/arm64/v8.6', 'linux/arm64/v8.7'], 'linux/arm64/v8.6'],
    ['linux/arm64/v8', ['linux/arm64/v8.1'], undefined],
    ['linux/s390x', ['linux/amd64', 'windows/s390x'], undefined],
    [
      'windows(10.0.17763.1)/amd64',
      ['windows(10.0.20348.2)/amd64', 'windows(10.0.17763.9)/amd64'],
      'windows(10.0.17763.9)/amd64',
    ],
    ['windows/amd64', ['windows(10.0.20348.2)/amd64'], 'windows(10.0.20348.2)/amd64'],
  ] as const)('%s of %j is %j', (wanted, offered, expected) => {
    expect(best(wanted, ...offered)).toBe(expected);
  });

  it('takes the first of equals, and gives the candidate itself', () => {
    const candidates = [
      { os: 'linux', architecture: 'arm64', variant: 'v8', n: 1 },
      { os: 'linux', architecture: 'aarch64', n: 2 },
    ];
    expect(matchPlatform({ os: 'linux', architecture: 'arm64' }, candidates)).toBe(candidates[0]);
  });

  it('gives what needs a feature to who wants it', () => {
    const needs = { os: 'windows', architecture: 'amd64', 'os.features': ['win32k'] };
    expect(matchPlatform({ os: 'windows', architecture: 'amd64' }, [needs])).toBeUndefined();
    expect(matchPlatform(needs, [needs])).toBe(needs);
  });

  it('survives a platform of hostile lengths', () => {
    const variant = `v${'9'.repeat(1000)}`;
    for (const architecture of ['amd64', 'arm', 'arm64'])
      expect(matchPlatform({ os: 'linux', architecture, variant }, [{ os: 'linux', architecture }])).toBeUndefined();
    expect(normalizePlatform({ os: 'linux', architecture: 'x', variant }).variant).toBe(variant);
  });
});
