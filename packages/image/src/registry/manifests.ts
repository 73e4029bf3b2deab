import type { Descriptor } from '../descriptor.ts';
import { digestOf, isDigest } from '../digest.ts';
import { asString, DOCUMENT_MAX_BYTES, member, parseDocument, type Node } from '../document.ts';
import { ImageError, quote } from '../errors.ts';
import { parseIndex, parseManifest } from '../manifest.ts';
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  isIndexType,
  isManifestType,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../media-types.ts';
import { discardBody } from './body.ts';
import { answerFailure, header, type Answer } from './failure.ts';
import type { FetchedManifest, PutManifestOptions } from './repository.ts';
import { askInTurn, checkTagOrDigest, nameOf, needOf, sendFor, targetAt, type Place, type Site } from './site.ts';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].join(', ');

const isKnownType = (mediaType: string): boolean => isIndexType(mediaType) || isManifestType(mediaType);

const contentType = (answer: Answer): string | undefined =>
  header(answer, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase();

const isSchema1 = (mediaType: string | undefined): boolean =>
  mediaType?.startsWith('application/vnd.docker.distribution.manifest.v1+') === true;

const schema1 = (name: string): ImageError =>
  new ImageError(
    'DOCUMENT_INVALID',
    `invalid ${name}: its manifest is of schema 1, which is out of use: push the image again with a current tool`,
    { path: name },
  );

/** What a document is by its own word, or by what it has in it. */
const typeInside = (node: Node): string | undefined => {
  const said = member(node, 'mediaType');
  if (said !== undefined) return asString(said);
  if (member(node, 'manifests') !== undefined) return OCI_INDEX;
  return member(node, 'config') === undefined ? undefined : OCI_MANIFEST;
};

/**
 * The media type of a manifest: the header's, if it is one of a manifest, else the document's own. Where both say one,
 * they must agree, and a document can't be both: somebody else might read it as the other.
 */
const typeOf = (bytes: Buffer, header: string | undefined, name: string): string => {
  const node = parseDocument(bytes, name);
  if (isSchema1(header) || member(node, 'schemaVersion')?.value === 1) throw schema1(name);
  const refuse = (why: string): ImageError =>
    new ImageError('DOCUMENT_INVALID', `invalid ${name}: ${why}`, { path: name });
  const inside = typeInside(node);
  const outside = header !== undefined && isKnownType(header) ? header : undefined;
  const type = outside ?? inside;
  if (type === undefined || !isKnownType(type))
    throw refuse(`${quote(type ?? header ?? '')} is no type of a manifest or index`);
  if (outside !== undefined && member(node, 'mediaType') !== undefined && inside !== outside)
    throw refuse(`it came as ${outside}, and says that it is ${quote(inside ?? '')}`);
  const other = isIndexType(type) ? ['config', 'layers'] : ['manifests'];
  if (other.some((key) => member(node, key) !== undefined)) throw refuse('it is manifest and index at once');
  if (isIndexType(type)) parseIndex(bytes, name);
  else parseManifest(bytes, name);
  return type;
};

const mismatch = (name: string, why: string): ImageError =>
  new ImageError('CONTENT_MISMATCH', `${name} is ${why}`, { path: name });

/** The registry's own digest; other algorithms than ours say nothing to us. */
const saidDigest = (answer: Answer): string | undefined => {
  const said = header(answer, 'docker-content-digest');
  return said?.startsWith('sha256:') === true ? said : undefined;
};

/** With what tells this state of a tag from others, where the registry says it. */
export interface TaggedManifest extends FetchedManifest {
  readonly etag: string | undefined;
}

const readManifest = async (
  place: Place,
  tagOrDigest: string,
  from: CallOptions & { site: Site },
): Promise<TaggedManifest> => {
  const { site, signal } = from;
  const name = nameOf(place, tagOrDigest);
  const target = targetAt(site, `manifests/${tagOrDigest}`);
  const request = { method: 'GET', target, headers: { accept: ACCEPT }, need: needOf(site, 'pull'), signal } as const;
  const { answer, bytes } = await site.server.fetch(request, DOCUMENT_MAX_BYTES);
  if (answer.status !== 200) throw await answerFailure(`cannot read manifest ${name}`, answer, signal);
  const digest = digestOf(bytes);
  if (isDigest(tagOrDigest) && digest !== tagOrDigest) throw mismatch(name, digest);
  const said = saidDigest(answer);
  if (said !== undefined && said !== digest) throw mismatch(name, `${digest}, and the registry says ${quote(said)}`);
  const mediaType = typeOf(bytes, contentType(answer), name);
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes, etag: header(answer, 'etag') };
};

export const fetchManifest = async (
  place: Place,
  tagOrDigest: string,
  options: CallOptions,
): Promise<TaggedManifest> => {
  checkTagOrDigest(place, tagOrDigest);
  const ask = (site: Site): Promise<TaggedManifest> => readManifest(place, tagOrDigest, { site, ...options });
  return await askInTurn(place, isDigest(tagOrDigest) ? 'pull' : 'resolve', { ask, ...options });
};

/** The descriptor that the headers give, if they give all of it. */
const readHead = (answer: Answer): Descriptor | undefined => {
  const [digest, mediaType, length] = [saidDigest(answer), contentType(answer), header(answer, 'content-length')];
  if (digest === undefined || !isDigest(digest) || mediaType === undefined || !isKnownType(mediaType)) return undefined;
  if (length === undefined || !/^\d{1,9}$/.test(length)) return undefined;
  return { mediaType, digest, size: Number(length) };
};

/** Some servers don't know HEAD. */
const NO_HEAD: ReadonlySet<number> = new Set([400, 405, 501]);

export const resolveManifest = async (place: Place, tagOrDigest: string, options: CallOptions): Promise<Descriptor> => {
  checkTagOrDigest(place, tagOrDigest);
  const { signal } = options;
  const name = nameOf(place, tagOrDigest);
  const ask = async (site: Site): Promise<Descriptor> => {
    const target = targetAt(site, `manifests/${tagOrDigest}`);
    const need = needOf(site, 'pull');
    const answer = await site.server.send({ method: 'HEAD', target, headers: { accept: ACCEPT }, need, signal });
    if (answer.status !== 200 && !NO_HEAD.has(answer.status))
      throw await answerFailure(`cannot find manifest ${name}`, answer, signal);
    await discardBody(answer.body);
    if (answer.status === 200 && isSchema1(contentType(answer))) throw schema1(name);
    const descriptor = answer.status === 200 ? readHead(answer) : undefined;
    if (descriptor === undefined) return (await readManifest(place, tagOrDigest, { site, signal })).descriptor;
    if (isDigest(tagOrDigest) && descriptor.digest !== tagOrDigest) throw mismatch(name, descriptor.digest);
    return descriptor;
  };
  return await askInTurn(place, isDigest(tagOrDigest) ? 'pull' : 'resolve', { ask, signal });
};

export interface StoreOptions extends PutManifestOptions {
  /** Only in the place of what has this entity tag; otherwise the answer is 412, where registries heed it. */
  readonly ifMatch?: string | undefined;
}

/** Sends a manifest, and gives the answer besides its descriptor: it may say what the registry did about the subject. */
export const storeManifest = async (
  place: Place,
  bytes: Uint8Array,
  { mediaType, tag, ifMatch, signal }: StoreOptions,
): Promise<{ readonly descriptor: Descriptor; readonly answer: Answer }> => {
  const digest = digestOf(bytes);
  const tagOrDigest = checkTagOrDigest(place, tag ?? digest);
  const name = nameOf(place, tagOrDigest);
  if (bytes.length > DOCUMENT_MAX_BYTES)
    throw new ImageError('DOCUMENT_INVALID', `invalid ${name}: larger than ${String(DOCUMENT_MAX_BYTES)} bytes`);
  const { origin } = place;
  const request = {
    method: 'PUT',
    target: targetAt(origin, `manifests/${tagOrDigest}`),
    headers: { 'content-type': mediaType, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) },
    body: bytes,
    need: needOf(origin, 'pull,push'),
    signal,
  } as const;
  const answer = await sendFor(origin.server, request, {
    what: `cannot push manifest ${name}`,
    statuses: ifMatch === undefined ? [201, 200, 202] : [201, 200, 202, 412],
  });
  await discardBody(answer.body);
  const said = answer.status === 412 ? undefined : saidDigest(answer);
  if (said !== undefined && said !== digest)
    throw mismatch(`pushed manifest ${name}`, `${quote(said)} at the registry`);
  return { descriptor: { mediaType, digest, size: bytes.length }, answer };
};

export const removeManifest = async (place: Place, tagOrDigest: string, { signal }: CallOptions): Promise<void> => {
  checkTagOrDigest(place, tagOrDigest);
  const { origin } = place;
  const target = targetAt(origin, `manifests/${tagOrDigest}`);
  const what = `cannot delete manifest ${nameOf(place, tagOrDigest)}`;
  const request = { method: 'DELETE', target, need: needOf(origin, 'delete'), signal } as const;
  const answer = await sendFor(origin.server, request, { what, statuses: [202, 200, 204] });
  await discardBody(answer.body);
};
