import { describe, expect, it } from '@jest/globals';
import type { PullEvent, PushEvent, StoredImage } from '@tsc/image';
import { parseReference } from '@tsc/image';

import { followPull, pullSummary } from './pull.ts';
import { followPush } from './push.ts';
import { plainView } from './view.ts';

const digest = (digit: string) => `sha256:${digit.repeat(64)}` as const;

const layer = (
  digit: string,
  status: Extract<PullEvent, { type: 'layer' }>['status'],
  currentBytes = 0,
): PullEvent => ({
  type: 'layer',
  digest: digest(digit),
  status,
  currentBytes,
  totalBytes: 100,
});
const pulled: PullEvent = { type: 'pulled', image: {} as StoredImage, digest: digest('f'), changed: true };
const resolved: PullEvent = {
  type: 'resolved',
  reference: 'docker.io/library/app:latest',
  descriptor: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digest('f'), size: 1 },
};

async function* play<T>(events: readonly T[]): AsyncGenerator<T> {
  for (const event of events) yield await Promise.resolve(event);
}

function record() {
  const lines: string[] = [];
  const view = plainView({ write: (text: string) => lines.push(text.trimEnd()) > 0 });
  return { lines, view };
}

const pull = async (events: readonly PullEvent[], name = 'app'): Promise<readonly string[]> => {
  const { lines, view } = record();
  await followPull(play(events), parseReference(name), view);
  return lines;
};

describe('a pull as lines', () => {
  it('says what Docker says of each layer', async () => {
    const events = [
      resolved,
      layer('a', 'present', 100),
      layer('b', 'waiting'),
      layer('c', 'downloading', 10),
      layer('b', 'downloading', 10),
      layer('b', 'downloading', 90),
      layer('b', 'verifying', 100),
      layer('b', 'unpacking', 10),
      layer('c', 'unpacking', 10),
      layer('b', 'unpacking', 100),
      layer('b', 'done', 100),
      layer('c', 'done', 100),
      pulled,
    ];
    const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(12));
    expect(await pull(events)).toEqual([
      'latest: Pulling from library/app',
      `${a}: Already exists`,
      `${b}: Pulling fs layer`,
      `${c}: Pulling fs layer`,
      `${b}: Verifying Checksum`,
      `${b}: Download complete`,
      `${c}: Download complete`,
      `${b}: Pull complete`,
      `${c}: Pull complete`,
      `Digest: ${digest('f')}`,
    ]);
  });

  it('names what was asked for', async () => {
    const [first] = await pull([resolved, pulled], `localhost:5000/team/app@${digest('e')}`);
    expect(first).toBe(`localhost:5000/team/app@${digest('e')}: Pulling from team/app`);
    expect(pullSummary(true, 'app:1')).toBe('Status: Downloaded newer image for app:1');
    expect(pullSummary(false, 'app:1')).toBe('Status: Image is up to date for app:1');
  });

  it('has to end with an image', async () => {
    await expect(pull([resolved])).rejects.toThrow('the pull ended without an image');
  });
});

describe('a push as lines', () => {
  const blob = (
    digit: string,
    status: Extract<PushEvent, { type: 'blob' }>['status'],
    currentBytes = 0,
  ): PushEvent => ({
    type: 'blob',
    digest: digest(digit),
    status,
    currentBytes,
    totalBytes: 100,
  });

  it('says what Docker says of each layer, and nothing of the config', async () => {
    const { lines, view } = record();
    const events: readonly PushEvent[] = [
      blob('a', 'present'),
      blob('b', 'preparing', 50),
      blob('b', 'preparing', 100),
      blob('c', 'waiting'),
      blob('c', 'pushing', 50),
      blob('d', 'mounted'),
      blob('e', 'pushing'),
      blob('e', 'done'),
      blob('c', 'done', 100),
      { type: 'pushed', reference: 'docker.io/library/app:1', descriptor: { ...resolved.descriptor, size: 527 } },
    ];
    await followPush(play(events), { view, tag: '1', configDigest: digest('e') });
    const id = (digit: string): string => digit.repeat(12);
    expect(lines).toEqual([
      `${id('a')}: Layer already exists`,
      `${id('b')}: Prepared`,
      `${id('c')}: Waiting`,
      `${id('d')}: Mounted from another repository`,
      `${id('c')}: Pushed`,
      `1: digest: ${digest('f')} size: 527`,
    ]);
  });
});
