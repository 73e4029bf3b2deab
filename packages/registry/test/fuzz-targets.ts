import { digestOf } from '../src/testing/case.ts';
import { anyDigest, badDigest } from './fuzz-documents.ts';
import type { Known } from './fuzz-documents.ts';
import type { Random } from './fuzz-random.ts';

/** A name that is as long as one may be. */
const LONG = `${'a'.repeat(120)}/${'b'.repeat(134)}`;
export const NAMES = ['a', 'team/app', 'team', `x${'/y'.repeat(40)}`, LONG] as const;

/** Every way that somebody has written `..`, `/`, NUL or nothing, and hoped that it is read later. */
export const DOTS = [
  '..',
  '%2e%2e',
  '%2E.',
  '.%2e',
  '%252e%252e',
  '%25252e%25252e',
  '..%2f',
  '..%5c',
  '..\\',
  '%2e%2e%2f%2e%2e%2fcanary',
  '..%252f..%252fcanary',
  '%c0%ae%c0%ae',
  '%c0%2e%c0%2e',
  '%e0%80%ae%e0%80%ae',
  '%f0%80%80%ae',
  '..%c0%af',
  '..%00',
  '%00',
  '..;',
  '..;/',
  '.',
  '%2e',
  '',
  '....//',
  '%u002e%u002e',
  '\u2025',
  '%ef%bc%8e%ef%bc%8e',
  '%E2%80%A5',
  '..%0d%0aX-Evil:1',
  '%ff',
  '%',
  '%2',
  '%zz',
  '~',
  '__proto__',
  '_blobs',
  '_uploads',
  'constructor',
] as const;

const LISTS = ['', '0', '1', '2', '-1', '1e9', '999999999', '9999999999', 'x', '%00', '0x10', '01', '1&n=2'] as const;

const evilName = (random: Random): string => {
  const parts = [random.pick(NAMES), random.pick(DOTS), random.pick(DOTS)];
  if (random.chance(0.1)) return 'a'.repeat(random.pick([256, 300, 4000, 9000, 17_000]));
  if (random.chance(0.1))
    return random.pick(['A', 'a..b', 'a___b', '-a', 'a-', 'a//b', '/a', 'a/', 'ä', 'a b', 'a\tb']);
  return parts.slice(random.int(2), 2 + random.int(2)).join('/');
};

export const name = (random: Random): string => (random.chance(0.88) ? random.pick(NAMES) : evilName(random));

export const tag = (random: Random): string =>
  random.chance(0.85)
    ? random.pick(['v1', 'v2', 'latest', 'x'.repeat(128), '_', 'A.b-c'])
    : random.pick(['.', '..', '-a', 'x'.repeat(129), 'a b', 'a:b', ...DOTS]);

export const digest = (random: Random, known: Known): string =>
  random.chance(0.8) ? anyDigest(random, known) : encodeURI(badDigest(random));

const query = (random: Random, known: Known): string => {
  if (random.chance(0.6)) return '';
  return random.pick<() => string>([
    () => `?n=${random.pick(LISTS)}`,
    () => `?n=${random.pick(LISTS)}&last=${random.pick(DOTS)}`,
    () => `?last=${tag(random)}`,
    () => `?artifactType=${random.pick(['application/x', '%00', '%ed%a0%80', '%', '%0d%0a', 'a'.repeat(3000)])}`,
    () => `?digest=${digest(random, known)}`,
    () => `?${'tag=v1&'.repeat(random.int(150))}tag=${tag(random)}`,
    () => `?ns=${random.pick(DOTS)}`,
    () => `?__proto__=1&constructor=2&${'a&'.repeat(random.int(3000))}`,
    () => '?',
    () => `?mount=${digest(random, known)}&from=${name(random)}`,
  ])();
};

const upload = (random: Random, known: Known): string => {
  const running = random.some(known.uploads);
  if (running !== undefined && random.chance(0.85)) return running;
  const id = random.pick(['sha256-x', 'A', '_', 'a_b', 'X'.repeat(64), 'x'.repeat(65), '-', 'sha512-Z', ...DOTS]);
  return `/v2/${name(random)}/blobs/uploads/${id}`;
};

export type Kind = 'manifest' | 'blob' | 'start' | 'upload' | 'list' | 'other';

export interface Target {
  readonly kind: Kind;
  readonly path: string;
}

/** What a request line may ask for. */
export function fuzzedTarget(random: Random, known: Known): Target {
  const repository = `/v2/${name(random)}`;
  const kind = random.pick([
    'manifest',
    'manifest',
    'blob',
    'start',
    'upload',
    'upload',
    'upload',
    'list',
    'other',
  ] as const);
  switch (kind) {
    case 'manifest': {
      const place = random.some(known.places);
      if (place?.includes('/manifests/') === true && random.chance(0.4)) return { kind, path: place };
      const reference = random.chance(0.6) ? tag(random) : digest(random, known);
      return { kind, path: `${repository}/manifests/${reference}${query(random, known)}` };
    }
    case 'blob': {
      const place = random.some(known.places);
      if (place?.includes('/blobs/') === true && random.chance(0.8)) return { kind, path: place };
      return {
        kind,
        path: `${repository}/blobs/${digest(random, known)}${random.chance(0.1) ? query(random, known) : ''}`,
      };
    }
    case 'start': {
      const mount = `?mount=${digest(random, known)}${random.chance(0.7) ? `&from=${name(random)}` : ''}`;
      const algorithm = `?digest-algorithm=${random.pick(['sha256', 'sha512', 'md5', '__proto__', ''])}`;
      return {
        kind,
        path: `${repository}/blobs/uploads/${random.pick(['', '', mount, algorithm, query(random, known)])}`,
      };
    }
    case 'upload':
      return { kind, path: `${upload(random, known)}${random.chance(0.1) ? query(random, known) : ''}` };
    case 'list':
      return {
        kind,
        path: random.pick([
          `${repository}/tags/list${query(random, known)}`,
          `${repository}/referrers/${digest(random, known)}${query(random, known)}`,
          `/v2/_catalog${query(random, known)}`,
        ]),
      };
    case 'other':
      return { kind, path: oddTarget(random) };
  }
}

function oddTarget(random: Random): string {
  const dots = random.pick(DOTS);
  return random.pick([
    '/v2/',
    '/v2',
    '/',
    '*',
    'a:1',
    `/${dots}/${dots}/canary`,
    `/v2/${dots}/manifests/v1`,
    `/v2/a/manifests/${dots}`,
    `/v2/a/blobs/${dots}`,
    `/v2/a/blobs/sha256:${dots}`,
    `/v2/a/blobs/uploads/${dots}`,
    `/v2/a/${dots}/blobs/${digestOf('x')}`,
    `/v2/a/tags/${dots}`,
    `/v2/a/referrers/${dots}`,
    `/v2${dots}`,
    `//${dots}//v2/`,
    'http://other/v2/',
    `http://[::1/v2/${dots}`,
    'file:///canary',
    `/v2/?${dots}`,
    `/v2/a/manifests/v1#${dots}`,
    `/v2/${'a/'.repeat(random.int(4000))}manifests/v1`,
    `/v2/${'%61'.repeat(random.int(3000))}/manifests/v1`,
    `/v2/a/manifests/v1?${'x'.repeat(random.int(16_000))}`,
  ]);
}
