import { describe, expect, test } from '@jest/globals';
import { emptyImage, ImageError } from '@tsc/image';
import { memoryStore } from '../test/memory-store.ts';
import type { PullBase } from './base-pull.ts';
import { build } from './build.ts';
import type { BuildEvent, BuildOptions } from './build.ts';

async function run(dockerfileText: string, options: Pick<BuildOptions, 'store'> & Partial<BuildOptions>) {
  const events: BuildEvent[] = [];
  for await (const event of build({ contextDir: '/', dockerfileText, platform: 'linux/amd64', ...options })) {
    events.push(event);
  }
  const last = events.at(-1);
  if (last?.type !== 'built') throw new Error('not built');
  return { ...last, events };
}

describe('base images that are pulled', () => {
  const index = `sha256:${'0'.repeat(64)}` as const;

  /** A registry that has `base` for every platform, and nothing else. */
  function registry(store: ReturnType<typeof memoryStore>) {
    const pulls: string[] = [];
    const pull: PullBase = async function* (reference, { platform, signal }) {
      signal?.throwIfAborted();
      pulls.push(`${reference} ${platform.architecture}`);
      if (reference !== 'base') throw new ImageError('REGISTRY_NOT_FOUND', `the registry has no ${reference}`);
      const image = emptyImage({ os: platform.os, architecture: platform.architecture });
      const stored = await store.write(image, { names: [reference] });
      yield { type: 'pulled', image: stored, digest: index, changed: true };
    };
    return { pulls, pull };
  }

  test('are those that the store does not have for their platform, each once', async () => {
    const store = memoryStore();
    const { pulls, pull } = registry(store);
    const text = 'FROM base AS a\nFROM base\nCOPY --from=base . /\nFROM a\nUSER 1';
    const { events, image } = await run(text, { store, pull, target: '2' });
    expect(pulls).toEqual(['base amd64']);
    expect(events.slice(0, 3)).toMatchObject([
      { type: 'pull-started', reference: 'base', platform: 'linux/amd64' },
      { type: 'pull-progress', reference: 'base', event: { type: 'pulled' } },
      { type: 'planned' },
    ]);
    expect(image.config).toMatchObject({ architecture: 'amd64', config: { User: '1' } });
    await run('FROM base', { store, pull });
    expect(pulls.length).toBe(1);
    expect((await run('FROM base', { store, pull, platform: 'linux/arm64' })).image.config.architecture).toBe('arm64');
    expect(pulls.slice(1)).toEqual(['base arm64']);
  });

  test('stay apart when two platforms of one name are needed', async () => {
    const store = memoryStore();
    const { pulls, pull } = registry(store);
    const text = 'FROM --platform=linux/arm64 base AS arm\nUSER 7\nFROM base\nUSER 8\nFROM arm';
    const { image } = await run(`${text}\nCOPY --from=1 . /`, { store, pull });
    expect(pulls).toEqual(['base arm64', 'base amd64']);
    expect(image.config.architecture).toBe('arm64');
  });

  test('are all of them when the policy says so', async () => {
    const store = memoryStore();
    const { pulls, pull } = registry(store);
    for (const pullPolicy of ['always', 'missing', 'always'] as const)
      await run('FROM base', { store, pull, pullPolicy });
    expect(pulls.length).toBe(2);
  });

  test('that do not come are an error with a line, and nothing is carried out', async () => {
    const store = memoryStore();
    const { pull } = registry(store);
    const failed = run('FROM base\nUSER 1\nCOPY --from=other /a /b', { store, pull, tags: ['made'] });
    await expect(failed).rejects.toMatchObject({
      code: 'BUILDER_PULL_FAILED',
      line: 3,
      message: expect.stringContaining('Dockerfile:3: cannot pull other: the registry has no other'),
    });
    expect([...store.images.keys()].filter((name) => !name.startsWith('sha256:'))).toEqual(['base']);
    const aborted = run('FROM other', { store, pull, signal: AbortSignal.abort() });
    await expect(aborted).rejects.toThrow('aborted');
  });
});
