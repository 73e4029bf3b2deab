import { createReadStream, createWriteStream, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { appendLayer, archiveImages, emptyImage, packLayer, withConfig } from '@tsc/image';
import type { Image, Layer } from '@tsc/image';

import { output } from '../command.ts';

/** What goes into each layer above Debian's smallest system. */
const INSTALLED = [['git'], ['vim'], ['curl', 'ca-certificates'], ['postgresql-client']] as const;
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** Where the images that are transferred lie on disk. Made once, with a network; everything else needs only loopback. */
export interface Fixture {
  /** The layers, gzip -6, the lowest first: a Debian of over 200 MB, and four that `apt-get install` made. */
  readonly layers: readonly string[];
  /** All five as an image, an OCI layout in a tar file. */
  readonly image: string;
  /** The lowest alone as `docker save` writes it: a tar of uncompressed tars. */
  readonly archive: string;
}

/** The fixture in `dir`, made there with debootstrap and apt-get unless a run before has left it. */
export async function makeFixture(dir: string): Promise<Fixture> {
  const fixture: Fixture = {
    layers: Array.from({ length: INSTALLED.length + 1 }, (_, n) => join(dir, `layer${n}.tar.gz`)),
    image: join(dir, 'image.tar'),
    archive: join(dir, 'archive.tar'),
  };
  if (existsSync(fixture.archive)) return fixture;
  console.log('making the images: a minute or two');
  const trees = installTrees(dir);
  const layers: Layer[] = [];
  for (const [n, tree] of trees.entries()) layers.push(await packTree(tree, fixture.layers[n] ?? ''));
  await writeImage(layers, fixture.image);
  await writeImage(layers.slice(0, 1), join(dir, 'base.tar'));
  output('skopeo', [
    'copy',
    '-q',
    `oci-archive:${join(dir, 'base.tar')}`,
    `docker-archive:${fixture.archive}.part:bench:load`,
  ]);
  output('mv', [`${fixture.archive}.part`, fixture.archive]);
  for (const left of ['base', 'mounts', 'base.tar']) rmSync(join(dir, left), { recursive: true, force: true });
  return fixture;
}

/** The directories of the layers: debootstrap's, and the upper directory of each `apt-get install`. */
function installTrees(dir: string): readonly string[] {
  const trees = [join(dir, 'base')];
  output('debootstrap', ['--variant=minbase', '--include=perl,python3', 'bookworm', join(dir, 'base')]);
  output('sh', ['-c', `rm -f "$1"/var/cache/apt/archives/*.deb`, 'sh', join(dir, 'base')]);
  for (const [n, packages] of INSTALLED.entries()) {
    const mount = join(dir, 'mounts', String(n));
    for (const name of ['upper', 'work', 'merged']) mkdirSync(join(mount, name), { recursive: true });
    const lower = trees.toReversed().join(':');
    // In a mount namespace of its own, which takes the mount with it.
    output('unshare', [
      ...['--mount', '--propagation', 'private', 'sh', '-euc'],
      `mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" none "$2/merged"; cd "$2/merged"; shift 2
       cp /etc/resolv.conf etc/
       DEBIAN_FRONTEND=noninteractive chroot . apt-get install -y -qq --no-install-recommends "$@"
       chroot . apt-get clean`,
      ...['sh', lower, mount, ...packages],
    ]);
    trees.push(join(mount, 'upper'));
  }
  return trees;
}

async function packTree(tree: string, file: string): Promise<Layer> {
  const { stream, packed } = packLayer(tree, { compression: 'gzip', overlay: true });
  await pipeline(stream, createWriteStream(file));
  const { digest, size, diffId } = await packed;
  return { descriptor: { mediaType: LAYER_TYPE, digest, size }, diffId, open: () => createReadStream(file) };
}

async function writeImage(layers: readonly Layer[], file: string): Promise<void> {
  const start: Image = withConfig(emptyImage(), { config: { Cmd: ['/bin/sh'] } });
  const image = layers.reduce((lower, layer) => appendLayer(lower, layer), start);
  await pipeline(archiveImages([{ image, names: [] }]), createWriteStream(file));
}
