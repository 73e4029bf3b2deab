import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  archiveImages,
  imageId,
  loadArchive,
  manifestDigest,
  openImageArchive,
  openImageStore,
  saveArchive,
} from '../src/index.ts';
import { ourImage, seenInStore } from './interop-ours.ts';
import {
  dockerSeen,
  openPodman,
  seenInDir,
  skopeoCopy,
  startDocker,
  type Docker,
  type Podman,
  type Seen,
} from './interop-peers.ts';
import { scratch, type Scratch } from './scratch.ts';

const NAME = 'localhost/app:1';
const START_MS = 60_000;

/** What survives an archive whose manifest is another one, or none. */
const image = ({ id, diffIds }: Seen): Omit<Seen, 'manifestDigest'> => ({ id, diffIds });

/** Takes an archive in and gives another one out. */
interface Link {
  readonly name: string;
  pass(from: string, to: string): Promise<Seen> | Seen;
}

describeRoot('images between programs through archives', () => {
  const stack = new AsyncDisposableStack();
  let tmp: Scratch;
  let docker: Docker;
  let podman: Podman;

  beforeAll(async () => {
    tmp = stack.use(scratch());
    docker = stack.use(await startDocker(tmp.at('docker')));
    podman = openPodman(tmp.at('podman'));
  }, START_MS);
  afterAll(() => stack.disposeAsync(), START_MS);

  const ours = (): Link => ({
    name: 'ours',
    pass: async (from, to) => {
      using own = scratch();
      const store = await openImageStore({ rootDir: own.dir });
      const [loaded] = await loadArchive(store, from);
      expect(loaded).toMatchObject({ names: ['localhost/app:1'] });
      await pipeline(saveArchive(store, [NAME]), createWriteStream(to));
      return seenInStore(await store.resolve(NAME));
    },
  });
  const byDocker = (): Link => ({
    name: 'docker',
    pass: (from, to) => {
      docker.run('load', '-q', '-i', from);
      const seen = dockerSeen(docker.run('image', 'inspect', NAME));
      docker.run('save', '-o', to, NAME);
      docker.run('rmi', '-f', NAME);
      return seen;
    },
  });
  const byPodman = (format: string): Link => ({
    name: `podman (${format})`,
    pass: (from, to) => {
      podman.run('load', '-q', '-i', from);
      const seen = dockerSeen(podman.run('image', 'inspect', NAME));
      podman.run('save', '-q', '--format', format, '-o', to, NAME);
      podman.run('rmi', '-f', NAME);
      return seen;
    },
  });
  // From one format to another it would write another config, and so make another image.
  const bySkopeo = (format: string): Link => ({
    name: `skopeo (${format})`,
    pass: (from, to) => {
      using own = scratch();
      skopeoCopy(`${format}:${from}`, `dir:${own.dir}`);
      skopeoCopy(`${format}:${from}`, `${format}:${to}:${NAME}`);
      return seenInDir(own.dir);
    },
  });

  it('has one id and the same layers after a walk through all of them', async () => {
    const links = [
      ours(),
      byDocker(),
      ours(),
      byPodman('docker-archive'),
      ours(),
      byPodman('oci-archive'),
      ours(),
      bySkopeo('docker-archive'),
      ours(),
      bySkopeo('oci-archive'),
      ours(),
      byDocker(),
    ];
    const start = await ourImage();
    await pipeline(archiveImages([{ image: start, names: [NAME] }]), createWriteStream(tmp.at('0.tar')));
    const first = { id: imageId(start), diffIds: start.config.rootfs.diff_ids };
    for (const [n, link] of links.entries()) {
      const seen = await link.pass(tmp.at(`${String(n)}.tar`), tmp.at(`${String(n + 1)}.tar`));
      expect([n, link.name, image(seen)]).toEqual([n, link.name, first]);
      await using archive = await openImageArchive(tmp.at(`${String(n + 1)}.tar`));
      expect([n, link.name, imageId(await archive.image(NAME))]).toEqual([n, link.name, first.id]);
    }
  }, 180_000);

  it('keeps the manifest through OCI archives', async () => {
    const start = await ourImage('oci');
    await pipeline(archiveImages([{ image: start, names: [NAME] }]), createWriteStream(tmp.at('ours.tar')));
    skopeoCopy(`oci-archive:${tmp.at('ours.tar')}`, `oci-archive:${tmp.at('skopeo.tar')}:${NAME}`);
    await using archive = await openImageArchive(tmp.at('skopeo.tar'));
    expect(manifestDigest(await archive.image())).toBe(manifestDigest(start));
  });
});
