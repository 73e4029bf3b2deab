import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { startDockerRegistry, type DockerRegistry } from './docker-registry.ts';
import { openOurs } from './interop-ours.ts';
import { openPodman, openSkopeo, seenAtRegistry, startDocker, type Peer } from './interop-peers.ts';
import { scratch } from './scratch.ts';

const NAMES = ['ours', 'docker', 'podman', 'skopeo'] as const;
type Name = (typeof NAMES)[number];
const START_MS = 60_000;

describeRoot('images between programs through a registry', () => {
  const stack = new AsyncDisposableStack();
  let registry: DockerRegistry;
  let peers: Readonly<Record<Name, Peer>>;

  beforeAll(async () => {
    const { dir } = stack.use(scratch());
    registry = stack.use(await startDockerRegistry());
    peers = {
      ours: await openOurs(join(dir, 'ours')),
      docker: stack.use(await startDocker(join(dir, 'docker'))),
      podman: openPodman(join(dir, 'podman')),
      skopeo: openSkopeo(join(dir, 'skopeo')),
    };
    for (const name of NAMES) await peers[name].make(`${registry.domain}/${name}/app:1`);
  }, START_MS);

  afterAll(() => stack.disposeAsync(), START_MS);

  it.each(NAMES.flatMap((maker) => NAMES.map((taker) => [maker, taker] as const)))(
    '%s made it, %s pulls it and pushes it elsewhere',
    async (maker, taker) => {
      const [from, to] = [`${registry.domain}/${maker}/app:1`, `${registry.domain}/${maker}/from-${taker}:1`];
      const there = await seenAtRegistry(from);
      expect(there.diffIds).toHaveLength(2);
      const peer = peers[taker];
      const { id, diffIds, manifestDigest } = there;
      expect(await peer.pull(from)).toEqual({ id, diffIds, manifestDigest });
      await peer.push(from, to);
      const copy = await seenAtRegistry(to);
      expect(copy).toMatchObject({ id, diffIds });
      if (peer.keepsManifest) expect(copy).toEqual(there);
    },
  );
});
