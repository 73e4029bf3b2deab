import { createHash } from 'node:crypto';

import { isRegistryError, RegistryError } from '../errors.ts';
import { parseManifestDocument } from '../manifest-document.ts';
import type { ManifestDocument } from '../manifest-document.ts';
import type { Algorithm, Digest, ManifestReference } from '../names.ts';
import { checkDeletable } from '../policy/immutable.ts';
import type { Referrer } from '../storage.ts';
import { sendBytes, sendEmpty } from './answer.ts';
import type { Headers } from './answer.ts';
import { isKnown } from './blobs.ts';
import type { Exchange } from './context.ts';
import { isOnlyNew, whenWanted } from './preconditions.ts';
import { readWhole } from './request-body.ts';

/** How many blobs of a manifest are looked for at once. */
const AT_ONCE = 16;
/** How many missing blobs an answer names. */
const MISSING_MAX = 20;

export interface ManifestTarget {
  readonly name: string;
  readonly reference: ManifestReference;
}

const resolve = async ({ storage, signal }: Exchange, { name, reference }: ManifestTarget): Promise<Digest> =>
  reference.type === 'digest' ? reference.digest : storage.resolveTag(name, reference.tag, { signal });

/**
 * Whether a client takes a media type. Without an `Accept` it takes what there is; a type with `q=0` is not read as a refusal.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-accept
 */
export function isAccepted(accept: string | undefined, mediaType: string): boolean {
  const types = (accept ?? '').split(',').map((part) => part.split(';')[0]?.trim().toLowerCase() ?? '');
  if (types.every((type) => type === '')) return true;
  return ['*/*', 'application/*', 'application/json', mediaType.toLowerCase()].some((type) => types.includes(type));
}

/** end-3 */
export async function readManifest(
  exchange: Exchange,
  target: ManifestTarget & { readonly head: boolean },
): Promise<void> {
  const { request, storage, signal } = exchange;
  const digest = await resolve(exchange, target);
  const { mediaType, bytes } = await storage.readManifest(target.name, digest, { signal });
  if (!isAccepted(request.headers.accept, mediaType)) {
    throw new RegistryError('MANIFEST_UNKNOWN', `the manifest is of type ${mediaType}, which Accept leaves out`, {
      detail: { mediaType },
    });
  }
  const headers: Headers = {
    'Content-Type': mediaType,
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
    Vary: 'Accept',
  };
  if (isKnown(exchange, digest)) sendEmpty(exchange, 304, headers);
  else sendBytes(exchange, bytes, headers);
  if (target.head) return;
  const tags = target.reference.type === 'tag' ? [target.reference.tag] : [];
  const { name } = target;
  exchange.emit({ type: 'pull', object: 'manifest', name, digest, mediaType, sizeBytes: bytes.byteLength, tags });
}

export interface ManifestPush extends ManifestTarget {
  readonly tags: readonly string[];
}

/** end-7a, end-7b */
export async function writeManifest(exchange: Exchange, { name, reference, tags }: ManifestPush): Promise<void> {
  const { request, storage, limits, policy, signal } = exchange;
  const bytes = await readWhole(exchange, limits.manifestMaxBytes);
  const digest = digestOf(bytes, reference);
  const document = parseManifestDocument(bytes, request.headers['content-type']);
  if (!exchange.sparse) await checkReferences(exchange, name, document);
  const { mediaType, subject } = document;
  const referrer = subject === undefined ? undefined : referrerOf(document, digest, bytes.byteLength);
  const allTags = reference.type === 'tag' ? [reference.tag] : tags;
  const onlyNew = isOnlyNew(exchange);
  const immutableTags = new Set(allTags.filter((tag) => onlyNew || policy.isImmutable(name, tag)));
  const manifest = { mediaType, bytes, digest, tags: allTags, immutableTags, subject, referrer };
  await whenWanted(exchange, { name, reference }, () => storage.writeManifest(name, manifest, { signal }));
  const sizeBytes = bytes.byteLength;
  exchange.emit({ type: 'push', object: 'manifest', name, digest, mediaType, sizeBytes, tags: allTags });
  sendEmpty(exchange, 201, {
    Location: `/v2/${name}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
    ...(subject === undefined ? {} : { 'OCI-Subject': subject }),
    ...(tags.length === 0 ? {} : { 'OCI-Tag': tags.join(', ') }),
  });
}

function digestOf(bytes: Uint8Array, reference: ManifestReference): Digest {
  const wanted = reference.type === 'digest' ? reference.digest : undefined;
  const algorithm: Algorithm = wanted?.startsWith('sha512:') === true ? 'sha512' : 'sha256';
  const digest: Digest = `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
  if (wanted === undefined || wanted === digest) return digest;
  throw new RegistryError('DIGEST_INVALID', 'the manifest has another digest', { detail: { digest } });
}

const referrerOf = (
  { mediaType, artifactType, annotations }: ManifestDocument,
  digest: Digest,
  sizeBytes: number,
): Referrer => ({
  mediaType,
  digest,
  sizeBytes,
  artifactType,
  annotations,
});

/** @throws {@link RegistryError} `MANIFEST_BLOB_UNKNOWN` */
async function checkReferences({ storage, signal }: Exchange, name: string, document: ManifestDocument): Promise<void> {
  const hasBlob = (digest: Digest): Promise<boolean> => isThere(storage.statBlob(name, digest, { signal }));
  const hasMember = async (digest: Digest): Promise<boolean> =>
    (await isThere(storage.statManifest(name, digest, { signal }))) || hasBlob(digest);
  const checks = [
    ...document.blobs.map((digest) => ({ digest, has: hasBlob })),
    ...document.members.map((digest) => ({ digest, has: hasMember })),
  ];
  const missing: Digest[] = [];
  for (let at = 0; at < checks.length && missing.length < MISSING_MAX; at += AT_ONCE) {
    const some = checks.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map(({ digest, has }) => has(digest)));
    missing.push(...some.filter((_, index) => found[index] !== true).map(({ digest }) => digest));
  }
  if (missing.length === 0) return;
  throw new RegistryError('MANIFEST_BLOB_UNKNOWN', 'the manifest refers to what the repository does not have', {
    detail: { digests: missing.slice(0, MISSING_MAX) },
  });
}

async function isThere(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isRegistryError(error) && error.status === 404) return false;
    throw error;
  }
}

/** end-9 */
export async function deleteManifest(exchange: Exchange, { name, reference }: ManifestTarget): Promise<void> {
  const { storage, policy, signal } = exchange;
  await checkDeletable(storage, policy, { name, reference, signal });
  if (reference.type === 'tag') {
    const { tag } = reference;
    await whenWanted(exchange, { name, reference }, () => storage.deleteTag(name, tag, { signal }));
    exchange.emit({ type: 'delete', object: 'tag', name, tag });
  } else {
    const { digest } = reference;
    await whenWanted(exchange, { name, reference }, () => storage.deleteManifest(name, digest, { signal }));
    exchange.emit({ type: 'delete', object: 'manifest', name, digest });
  }
  sendEmpty(exchange, 202);
}
