import { createHash } from 'node:crypto';

import type { Digest, NewManifest, Referrer, RegistryStorage } from '../src/index.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

export const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** A fact about a repository: what a storage has acknowledged, or must keep whatever happens. */
export type Fact =
  | { readonly type: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly type: 'manifest'; readonly name: string; readonly digest: Digest }
  | { readonly type: 'tag'; readonly name: string; readonly tag: string; readonly digest: Digest }
  | { readonly type: 'referrer'; readonly name: string; readonly subject: Digest; readonly digest: Digest }
  | { readonly type: 'no-blob'; readonly name: string; readonly digest: Digest }
  | { readonly type: 'no-manifest'; readonly name: string; readonly digest: Digest }
  | { readonly type: 'no-tag'; readonly name: string; readonly tag: string };

export type Acknowledge = (...facts: readonly Fact[]) => void;

/** Something that a registry does, in steps that may each be its last. */
export interface Scenario {
  /** Makes what was there before, and says what of it must stay. */
  readonly prepare: (storage: RegistryStorage) => Promise<readonly Fact[]>;
  /** Can be done again after it was broken off. */
  readonly act: (storage: RegistryStorage, acknowledge: Acknowledge) => Promise<void>;
}

const blobs = {
  config: Buffer.from('{"config":true}'),
  layer: Buffer.from('layer '.repeat(50_000)),
  old: Buffer.from('a layer that was there before'),
  garbage: Buffer.from('what no manifest needs'),
};

async function pushBlob(storage: RegistryStorage, name: string, bytes: Uint8Array): Promise<Digest> {
  const upload = { name, id: await storage.startUpload(name, 'sha256') };
  const half = Math.ceil(bytes.byteLength / 2);
  await storage.appendUpload(upload, { offset: 0, body: new Blob([bytes.slice(0, half)]).stream() });
  await storage.appendUpload(upload, { offset: half, body: new Blob([bytes.slice(half)]).stream() });
  await storage.finishUpload(upload, digestOf(bytes));
  return digestOf(bytes);
}

interface Naming {
  readonly text: string;
  readonly layers: readonly Uint8Array[];
  readonly tags: readonly string[];
  readonly subject?: Digest;
}

function manifestOf({ text, layers, tags, subject }: Naming): NewManifest {
  const annotations = { text };
  const digests = layers.map((layer) => ({ digest: digestOf(layer), size: layer.byteLength }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: digests, annotations }));
  const digest = digestOf(bytes);
  const referrer: Referrer = {
    mediaType: MANIFEST,
    digest,
    sizeBytes: bytes.byteLength,
    artifactType: undefined,
    annotations: new Map(Object.entries(annotations)),
  };
  return { mediaType: MANIFEST, bytes, digest, tags, subject, referrer: subject === undefined ? undefined : referrer };
}

const old = manifestOf({ text: 'old', layers: [blobs.old], tags: ['old', 'latest'] });
const young = manifestOf({ text: 'young', layers: [blobs.config, blobs.layer], tags: ['latest', 'v2'] });
const signature = manifestOf({ text: 'signature', layers: [blobs.old], tags: [], subject: old.digest });

const wholeOf = (name: string, { digest, tags }: NewManifest): readonly Fact[] => [
  { type: 'manifest', name, digest },
  ...tags.map((tag): Fact => ({ type: 'tag', name, tag, digest })),
];

const signed: readonly Fact[] = [
  { type: 'blob', name: 'app', digest: digestOf(blobs.old) },
  { type: 'manifest', name: 'app', digest: old.digest },
  { type: 'tag', name: 'app', tag: 'old', digest: old.digest },
  { type: 'manifest', name: 'app', digest: signature.digest },
  { type: 'referrer', name: 'app', subject: old.digest, digest: signature.digest },
];

/** A repository with an image and its signature. */
async function pushOld(storage: RegistryStorage): Promise<readonly Fact[]> {
  await pushBlob(storage, 'app', blobs.old);
  await storage.writeManifest('app', old);
  await storage.writeManifest('app', signature);
  return signed;
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  push: {
    prepare: pushOld,
    act: async (storage, acknowledge) => {
      for (const bytes of [blobs.config, blobs.layer]) {
        acknowledge({ type: 'blob', name: 'app', digest: await pushBlob(storage, 'app', bytes) });
      }
      await storage.writeManifest('app', young);
      acknowledge(...wholeOf('app', young));
    },
  },
  mount: {
    prepare: pushOld,
    act: async (storage, acknowledge) => {
      await storage.mountBlob('team/other', digestOf(blobs.old), { from: ['app'] });
      acknowledge({ type: 'blob', name: 'team/other', digest: digestOf(blobs.old) });
      await storage.writeManifest('team/other', old);
      acknowledge(...wholeOf('team/other', old));
    },
  },
  referrer: {
    prepare: async (storage) => {
      await pushBlob(storage, 'app', blobs.old);
      await storage.writeManifest('app', old);
      return wholeOf('app', old);
    },
    act: async (storage, acknowledge) => {
      await storage.writeManifest('app', signature);
      acknowledge(...signed);
    },
  },
  delete: {
    prepare: async (storage) => {
      for (const bytes of [blobs.config, blobs.layer]) await pushBlob(storage, 'app', bytes);
      await storage.writeManifest('app', young);
      return pushOld(storage);
    },
    act: async (storage, acknowledge) => {
      const done = async (call: Promise<void>): Promise<void> => {
        // The second time it may be gone already.
        await call.catch((error: unknown) => {
          if (!(error instanceof Error) || !('status' in error) || error.status !== 404) throw error;
        });
      };
      await done(storage.deleteTag('app', 'latest'));
      acknowledge({ type: 'no-tag', name: 'app', tag: 'latest' });
      await done(storage.deleteManifest('app', young.digest));
      acknowledge(
        { type: 'no-manifest', name: 'app', digest: young.digest },
        { type: 'no-tag', name: 'app', tag: 'v2' },
      );
      await done(storage.deleteBlob('app', digestOf(blobs.layer)));
      acknowledge({ type: 'no-blob', name: 'app', digest: digestOf(blobs.layer) });
    },
  },
  garbage: {
    prepare: async (storage) => {
      for (const name of ['app', 'team/other']) await pushBlob(storage, name, blobs.garbage);
      await storage.appendUpload(
        { name: 'app', id: await storage.startUpload('app', 'sha256') },
        { offset: 0, body: new Blob([blobs.layer]).stream() },
      );
      return pushOld(storage);
    },
    act: async (storage, acknowledge) => {
      await storage.removeStaleUploads(0);
      await storage.collectGarbage(0);
      for (const name of ['app', 'team/other']) {
        acknowledge({ type: 'no-blob', name, digest: digestOf(blobs.garbage) });
      }
    },
  },
};
