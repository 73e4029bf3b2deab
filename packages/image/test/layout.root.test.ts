import { execFileSync } from 'node:child_process';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import {
  appendLayer,
  emptyImage,
  layerFromFiles,
  manifestDigest,
  openImageLayout,
  withConfig,
  type Image,
} from '../src/index.ts';
import { scratch } from './scratch.ts';

const made = async (): Promise<Image> =>
  withConfig(appendLayer(emptyImage(), await layerFromFiles([{ path: 'a', content: 'a' }])), {
    config: { Cmd: ['x'] },
  });

const skopeo = (...args: string[]): string =>
  execFileSync('skopeo', ['--insecure-policy', ...args], { stdio: ['ignore', 'pipe', 'inherit'] }).toString();

describeRoot('an image layout', () => {
  it('is read and written by skopeo and umoci, digests kept', async () => {
    using tmp = scratch();
    const layout = await openImageLayout(tmp.at('ours'), { create: true });
    const image = await made();
    await layout.write('app:1', image);
    skopeo('copy', '-q', '--preserve-digests', `oci:${tmp.at('ours')}:app:1`, `oci:${tmp.at('theirs')}:their/app:2`);
    const theirs = await openImageLayout(tmp.at('theirs'));
    expect(manifestDigest(await theirs.image('their/app:2', { platform: image.config }))).toBe(manifestDigest(image));
    await theirs.write('second', image);
    expect(skopeo('inspect', '--config', `oci:${tmp.at('theirs')}:second`)).toContain('"Cmd"');
    execFileSync('umoci', ['config', '--image', `${tmp.at('ours')}:app:1`, '--config.cmd', 'y', '--tag', 'changed'], {
      stdio: 'pipe',
    });
    expect((await layout.image('changed', { platform: image.config })).config.config?.Cmd).toEqual(['y']);
    execFileSync('umoci', ['gc', '--layout', tmp.at('ours')], { stdio: 'pipe' });
    expect((await layout.image('app:1', { platform: image.config })).layers).toHaveLength(1);
  });
});
