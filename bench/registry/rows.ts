import { createHash } from 'node:crypto';

import type { Answer, Client } from './client.ts';
import { contentsOf } from './contents.ts';
import type { Content } from './contents.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const ACCEPT = `Accept: ${MANIFEST}, application/vnd.oci.image.index.v1+json\r\n`;
const PULLED = 'bench/pulled';
const TAGGED = 'bench/tagged';
/** Where blobs are pushed to. */
export const PUSHED = 'bench/pushed';

const KB = 1024;
const MB = 1024 * KB;
const SIZES: readonly (readonly [string, number])[] = [
  ['1 KB', KB],
  ['100 KB', 100 * KB],
  ['1 MB', MB],
  ['64 MB', 64 * MB],
];
const LARGE_BYTES = 8 * MB;

/** One kind of request, done again and again. */
export interface Operation {
  readonly name: string;
  /** Bytes that one of them moves; undefined where requests are what counts. */
  readonly sizeBytes: number | undefined;
  /** Whether it takes so long that a number of them is timed, and not those in a while. */
  readonly isLarge: boolean;
  /** Does it once. @returns the digits of a blob that is there now */
  readonly act: (client: Client) => Promise<string | undefined>;
}

function expect({ status }: Answer, wanted: number, what: string): void {
  if (status !== wanted) throw new Error(`${what}: status ${String(status)}, not ${String(wanted)}`);
}

/** As docker pushes: POST, the bytes by PATCH, then PUT with the digest. */
export async function pushBlob(client: Client, repository: string, { parts, hex }: Content): Promise<string> {
  const begun = await client.request(`POST /v2/${repository}/blobs/uploads/`, { body: [] });
  expect(begun, 202, 'POST of an upload');
  const headers = 'Content-Type: application/octet-stream\r\n';
  const patched = await client.request(`PATCH ${begun.location ?? ''}`, { headers, body: parts });
  expect(patched, 202, 'PATCH of an upload');
  const location = patched.location ?? '';
  const target = `${location}${location.includes('?') ? '&' : '?'}digest=sha256:${hex}`;
  expect(await client.request(`PUT ${target}`, { body: [] }), 201, 'PUT of an upload');
  return hex;
}

async function pushManifest(client: Client, path: string, manifest: Uint8Array): Promise<void> {
  expect(
    await client.request(`PUT ${path}`, { headers: `Content-Type: ${MANIFEST}\r\n`, body: [manifest] }),
    201,
    'PUT of a manifest',
  );
}

/** Reads a blob or a manifest to its end. */
export async function pullBlob(client: Client, path: string, sizeBytes: number): Promise<undefined> {
  const answer = await client.request(`GET ${path}`, { headers: ACCEPT });
  expect(answer, 200, `GET ${path}`);
  if (answer.bodyBytes !== sizeBytes) throw new Error(`GET ${path}: ${String(answer.bodyBytes)} bytes`);
  return undefined;
}

const makeSmall = contentsOf(KB);
const config = makeSmall();
const layers = Array.from({ length: 5 }, makeSmall);

/** An image of five layers; each mark makes it another one. */
function manifestOf(mark: string): Buffer {
  const descriptor = (mediaType: string, { hex }: Content): object => ({
    mediaType,
    digest: `sha256:${hex}`,
    size: KB,
  });
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)),
      annotations: { mark },
    }),
  );
}

const blobName = (verb: string, size: string): string => `${verb} blob, ${size}`;

async function makePulls(client: Client): Promise<readonly Operation[]> {
  const pulls: Operation[] = [];
  for (const [size, sizeBytes] of SIZES) {
    const path = `/v2/${PULLED}/blobs/sha256:${await pushBlob(client, PULLED, contentsOf(sizeBytes)())}`;
    pulls.push({
      name: blobName('pull', size),
      sizeBytes,
      isLarge: sizeBytes > LARGE_BYTES,
      act: (reader) => pullBlob(reader, path, sizeBytes),
    });
  }
  return pulls;
}

const pushes = (): readonly Operation[] =>
  SIZES.map(([size, sizeBytes]) => {
    const next = contentsOf(sizeBytes);
    return {
      name: blobName('push', size),
      sizeBytes,
      isLarge: sizeBytes > LARGE_BYTES,
      act: (client) => pushBlob(client, PUSHED, next()),
    };
  });

/** Makes on one server what is read there, and returns what can be timed. */
export async function makeOperations(client: Client): Promise<readonly Operation[]> {
  for (const repository of [PULLED, TAGGED]) {
    for (const content of [config, ...layers]) await pushBlob(client, repository, content);
  }
  const manifest = manifestOf('read');
  const path = `/v2/${PULLED}/manifests/latest`;
  const pathByDigest = `/v2/${PULLED}/manifests/sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  await pushManifest(client, path, manifest);
  let pushed = 0;
  const requests: readonly Pick<Operation, 'name' | 'act'>[] = [
    { name: 'GET manifest by tag', act: (reader) => pullBlob(reader, path, manifest.byteLength) },
    {
      name: 'HEAD manifest by tag',
      act: async (reader) => {
        expect(await reader.request(`HEAD ${path}`, { headers: ACCEPT }), 200, 'HEAD of a manifest');
        return undefined;
      },
    },
    { name: 'GET manifest by digest', act: (reader) => pullBlob(reader, pathByDigest, manifest.byteLength) },
    {
      name: 'PUT manifest',
      act: async (writer) => {
        pushed += 1;
        await pushManifest(writer, `/v2/${TAGGED}/manifests/t${String(pushed % 100)}`, manifestOf(String(pushed)));
        return undefined;
      },
    },
  ];
  return [
    ...requests.map((request) => ({ ...request, sizeBytes: undefined, isLarge: false })),
    ...(await makePulls(client)),
    ...pushes(),
  ];
}
