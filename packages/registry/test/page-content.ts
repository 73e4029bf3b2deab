import { createHash } from 'node:crypto';

import type { Digest, Referrer, RegistryStorage } from '../src/index.ts';

export const digestOf = (bytes: Uint8Array | string): Digest =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly [field: string]: unknown;
}

async function pushBlob(storage: RegistryStorage, name: string, bytes: Uint8Array): Promise<Digest> {
  const digest = digestOf(bytes);
  const upload = { name, id: await storage.startUpload(name, 'sha256') };
  const body = (async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(bytes);
  })();
  await storage.appendUpload(upload, { offset: 0, body });
  await storage.finishUpload(upload, digest);
  return digest;
}

export interface Pushed {
  readonly mediaType?: string;
  readonly document: object;
  readonly tags?: readonly string[];
  readonly referrer?: Omit<Referrer, 'digest' | 'sizeBytes' | 'mediaType'> & { readonly subject: Digest };
}

/** Stores a manifest. */
export async function pushManifest(storage: RegistryStorage, name: string, pushed: Pushed): Promise<Descriptor> {
  const { mediaType = MANIFEST, document, tags = [], referrer } = pushed;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
  const digest = digestOf(bytes);
  await storage.writeManifest(name, {
    mediaType,
    bytes,
    digest,
    tags,
    subject: referrer?.subject,
    referrer: referrer && { ...referrer, digest, mediaType, sizeBytes: bytes.byteLength },
  });
  return { mediaType, digest, size: bytes.byteLength };
}

export interface NewImage {
  readonly tags?: readonly string[];
  readonly architecture?: string;
  readonly created?: string;
  /** Commands, with the bytes of the layer that each made. */
  readonly steps?: readonly (readonly [command: string, layerBytes: number])[];
  readonly config?: object;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Stores an image; only its configuration is really there, as nobody reads its layers. */
export async function pushImage(storage: RegistryStorage, name: string, image: NewImage): Promise<Descriptor> {
  const { tags, architecture = 'amd64', steps = [], annotations, config = {}, created } = image;
  const json = JSON.stringify({
    os: 'linux',
    architecture,
    created,
    config,
    history: steps.map(([command, bytes]) => ({ created_by: command, ...(bytes === 0 ? { empty_layer: true } : {}) })),
  });
  const configBytes = Buffer.from(json);
  const layers = steps
    .filter(([, bytes]) => bytes > 0)
    .map(([command, size]) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: digestOf(command + architecture),
      size,
    }));
  const digest = await pushBlob(storage, name, configBytes);
  const document = {
    config: { mediaType: CONFIG, digest, size: configBytes.byteLength },
    layers,
    ...(annotations === undefined ? {} : { annotations }),
  };
  return pushManifest(storage, name, { document, ...(tags === undefined ? {} : { tags }) });
}

/** Stores an image for several platforms with what has been said about it, as builders and signers do. */
export async function pushService(
  storage: RegistryStorage,
  name: string,
  tags: readonly string[],
): Promise<Descriptor> {
  const members: object[] = [];
  for (const architecture of ['amd64', 'arm64']) {
    const image = await pushImage(storage, name, {
      architecture,
      created: '2026-11-18T09:30:00Z',
      steps: [
        ['ADD alpine-minirootfs-3.22.2-x86_64.tar.gz / # buildkit', 3_640_000],
        ['CMD ["/bin/sh"]', 0],
        ['/bin/sh -c apk add --no-cache ca-certificates nodejs && rm -rf /var/cache/apk/*', 21_400_000],
        ['COPY package.json pnpm-lock.yaml ./ # buildkit', 182_000],
        ['RUN /bin/sh -c pnpm install --prod --frozen-lockfile # buildkit', 12_900_000],
        ['COPY dist ./dist # buildkit', 1_340_000],
        ['/bin/sh -c #(nop)  ENTRYPOINT ["node" "dist/server.js"]', 0],
      ],
      config: {
        Entrypoint: ['node', 'dist/server.js'],
        WorkingDir: '/srv',
        User: '1000:1000',
        ExposedPorts: { '8080/tcp': {} },
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'NODE_ENV=production'],
        Labels: {
          'org.opencontainers.image.source': 'https://git.example.com/team/service',
          'org.opencontainers.image.licenses': 'Apache-2.0',
        },
        StopSignal: 'SIGTERM',
      },
      annotations: { 'org.opencontainers.image.base.name': 'docker.io/library/alpine:3.22' },
    });
    members.push({ ...image, platform: { os: 'linux', architecture } });
  }
  const index = await pushManifest(storage, name, { mediaType: INDEX, document: { manifests: members }, tags });
  for (const artifactType of ['application/vnd.dev.cosign.artifact.sig.v1+json', 'application/spdx+json']) {
    await pushManifest(storage, name, {
      document: {
        artifactType,
        layers: [],
        subject: index,
        config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 },
      },
      referrer: { subject: index.digest, artifactType, annotations: new Map() },
    });
  }
  return index;
}
