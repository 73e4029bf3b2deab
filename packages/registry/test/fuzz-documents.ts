import type { Digest } from '../src/index.ts';
import { digestOf, INDEX, MANIFEST } from '../src/testing/case.ts';
import type { Random } from './fuzz-random.ts';

/** What the fuzzer has brought into the registry, as far as it was told. */
export interface Known {
  readonly blobs: Digest[];
  readonly manifests: Digest[];
  /** Where blobs and manifests were said to be. */
  readonly places: string[];
  /** Where uploads go on. */
  readonly uploads: string[];
}

const KNOWN_MAX = 200;

/** The oldest is forgotten first. */
export function learn<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > KNOWN_MAX) list.shift();
}

const deep = (open: string, close: string, levels: number): string => open.repeat(levels) + close.repeat(levels);
const HUGE = ['-1', '1e400', '9007199254740993', '-0', '0.5', '1e-7', '"5"', 'null', '[]', '{}', 'true'] as const;

export const anyDigest = (random: Random, known: Known): string =>
  random.some([...known.blobs.slice(-8), ...known.manifests.slice(-8)]) ?? digestOf('nothing');

function descriptor(random: Random, known: Known, mediaType: string): string {
  const digest = random.chance(0.8) ? anyDigest(random, known) : badDigest(random);
  const size = random.chance(0.8) ? String(random.int(1000)) : random.pick(HUGE);
  const more = random.chance(0.1) ? `,${junkMember(random)}` : '';
  return `{"mediaType":${JSON.stringify(mediaType)},"digest":${JSON.stringify(digest)},"size":${size}${more}}`;
}

export const badDigest = (random: Random): string =>
  random.pick([
    '',
    'sha256:',
    `sha256:${'0'.repeat(63)}`,
    `sha256:${'0'.repeat(65)}`,
    `SHA256:${'0'.repeat(64)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha512:${'0'.repeat(64)}`,
    `md5:${'0'.repeat(32)}`,
    'sha256:../../../canary',
    `sha256:${'../'.repeat(21)}x`,
    `sha256:${'0'.repeat(62)}..`,
    `sha256+b64:${'0'.repeat(64)}`,
    `sha256:sha256:${'0'.repeat(57)}`,
    '__proto__',
    'constructor:toString',
    `sha256:${'٣'.repeat(64)}`,
    `sha256:${'0'.repeat(63)}\u0000`,
  ]);

const junkMember = (random: Random): string =>
  random.pick([
    '"__proto__":{"size":1,"digest":"x"}',
    '"constructor":{"prototype":{"polluted":true}}',
    '"toString":null,"hasOwnProperty":1',
    '"annotations":{"__proto__":"x","a":"b"}',
    '"annotations":{"a":1}',
    '"annotations":[]',
    '"artifactType":"../../canary"',
    '"artifactType":"a/b\\r\\nX-Evil: 1"',
    '"artifactType":"\\ud800"',
    '"artifactType":{"a":1}',
    '"Layers":[]',
    '"mediaType":"text/html"',
    '"schemaVersion":1',
    '"subject":null',
    '"subject":{}',
    '"config":null',
    '"layers":null',
    '"manifests":[]',
    '"fsLayers":[]',
    '"":""',
  ]);

/** Members of a manifest in any order, some of them twice. */
function objectOf(random: Random, members: readonly string[]): string {
  const mixed = members.filter(() => random.chance(0.97));
  if (random.chance(0.25)) mixed.splice(random.int(mixed.length + 1), 0, junkMember(random));
  if (random.chance(0.05)) mixed.push(random.some(mixed) ?? '"a":1');
  return `{${mixed.join(',')}}`;
}

function image(random: Random, known: Known): string {
  const layers = Array.from({ length: random.int(4) }, () => descriptor(random, known, 'application/octet-stream'));
  const subject = random.chance(0.3) ? [`"subject":${descriptor(random, known, MANIFEST)}`] : [];
  return objectOf(random, [
    '"schemaVersion":2',
    `"mediaType":"${MANIFEST}"`,
    `"config":${descriptor(random, known, 'application/vnd.oci.empty.v1+json')}`,
    `"layers":[${layers.join(',')}]`,
    `"annotations":{"n":"${String(random.int(1e9))}"}`,
    ...subject,
  ]);
}

function index(random: Random, known: Known): string {
  const members = Array.from({ length: random.int(4) }, () => descriptor(random, known, MANIFEST));
  return objectOf(random, ['"schemaVersion":2', `"mediaType":"${INDEX}"`, `"manifests":[${members.join(',')}]`]);
}

const absurd = (random: Random, known: Known): string =>
  random.pick<() => string>([
    () => deep('[', ']', 10 ** random.int(6)),
    () => deep('{"a":', '}', 1000).replace('}', '1}'),
    () => `{"schemaVersion":2,"mediaType":"${MANIFEST}","config":${'{"config":'.repeat(20_000)}1${'}'.repeat(20_001)}`,
    () => `{"schemaVersion":2,"mediaType":"${INDEX}","manifests":[${'0,'.repeat(50_000)}0]}`,
    () => {
      const one = descriptor(random, known, MANIFEST);
      return `{"schemaVersion":2,"mediaType":"${INDEX}","manifests":[${`${one},`.repeat(2000)}${one}]}`;
    },
    () => `{"schemaVersion":${random.pick(HUGE)},"mediaType":"${MANIFEST}"}`,
    () => `{${'"a":1,'.repeat(10_000)}"b":2}`,
    () => '"text"',
    () => 'null',
    () => '',
    () => '\ufeff{}',
    () => '{"mediaType":"text/html"}',
    () => `{"mediaType":"application/x","annotations":{${'"k":"v",'.repeat(100)}"l":"${'x'.repeat(10_000)}"}}`,
  ])();

/** A manifest, or something that would like to be one. */
export function fuzzedDocument(random: Random, known: Known): Buffer {
  const text = random.chance(0.12)
    ? absurd(random, known)
    : random.chance(0.75)
      ? image(random, known)
      : index(random, known);
  const bytes = Buffer.from(text);
  if (bytes.byteLength > 0 && random.chance(0.08)) bytes[random.int(bytes.byteLength)] = random.int(256);
  return random.chance(0.03) ? bytes.subarray(0, random.int(bytes.byteLength + 1)) : bytes;
}
