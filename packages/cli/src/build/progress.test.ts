import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';

import { expect, it } from '@jest/globals';
import type { BuildEvent } from '@tsc/builder';
import type { PullEvent, StoredImage } from '@tsc/image';
import { emptyImage } from '@tsc/image';

import { followBuild } from './progress.ts';

const digest = (digit: string) => `sha256:${digit.repeat(64)}` as const;
const pull = (event: PullEvent): BuildEvent => ({ type: 'pull-progress', reference: 'base', event });
const layer = { type: 'layer', digest: digest('a'), currentBytes: 1, totalBytes: 2 } as const;
const descriptor = { mediaType: 'x', digest: digest('b'), size: 3 };

async function* play(events: readonly BuildEvent[]): AsyncGenerator<BuildEvent> {
  for (const event of events) yield await Promise.resolve(event);
}

it('shows what a build pulls as a step before the first', async () => {
  const to = new PassThrough();
  const events: readonly BuildEvent[] = [
    { type: 'pull-started', reference: 'base', platform: 'linux/amd64' },
    pull({ type: 'resolved', reference: 'docker.io/library/base:latest', descriptor }),
    pull({ ...layer, status: 'downloading' }),
    pull({ ...layer, status: 'unpacking' }),
    pull({ ...layer, status: 'done' }),
    pull({ type: 'pulled', image: {} as StoredImage, digest: digest('c'), changed: true }),
    { type: 'planned', steps: 1, warnings: [] },
    { type: 'step-started', step: 1, steps: 1, stage: 'stage-0', text: 'USER 1' },
    { type: 'step-done', step: 1, layers: 1 },
    { type: 'built', imageId: digest('d'), manifestDigest: digest('e'), names: ['made:1'], image: emptyImage() },
  ];
  let time = 0;
  expect(await followBuild(play(events), to, { now: () => (time += 100) })).toBe(digest('d'));
  to.end();
  const id = 'a'.repeat(12);
  expect(await text(to)).toBe(
    [
      '#0 pull base for linux/amd64',
      '#0 resolve docker.io/library/base:latest',
      `#0 ${id}: Pulling fs layer`,
      `#0 ${id}: Download complete`,
      `#0 ${id}: Pull complete`,
      `#0 ${digest('c')}`,
      '#0 DONE 0.1s',
      '',
      '#1 USER 1',
      '#1 DONE 0.1s',
      '',
      `writing image ${digest('d')}`,
      'naming to made:1',
      '',
    ].join('\n'),
  );
});
