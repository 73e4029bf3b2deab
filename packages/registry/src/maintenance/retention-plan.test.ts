import { createHash } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';

import type { Digest } from '../names.ts';
import { planRetention, subjectOfTag } from './retention-plan.ts';
import type { InventoryManifest, InventoryTag, RepositoryInventory } from './retention-plan.ts';
import { parseRetention } from './retention-rules.ts';
import type { RetentionRule } from './retention-rules.ts';

const DAY = 86_400_000;
const NOW = 1000 * DAY;

const digestOf = (text: string): Digest => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** Some manifests by name, `[age in days, members, subject]`. */
type Manifests = Readonly<Record<string, readonly [days: number, members?: string, subject?: string]>>;

const manifestsOf = (manifests: Manifests): readonly InventoryManifest[] =>
  Object.entries(manifests).map(([name, [days, members = '', subject]]) => ({
    digest: digestOf(name),
    sizeBytes: 1,
    subject: subject === undefined ? undefined : digestOf(subject),
    members: members.split(' ').filter(Boolean).map(digestOf),
    pushedAtMs: NOW - days * DAY,
  }));

const tagOf = (tag: string, name: string, days: number, immutable = false): InventoryTag => ({
  tag,
  digest: digestOf(name),
  updatedAtMs: NOW - days * DAY,
  immutable,
});

interface Planned {
  readonly tags: readonly string[];
  readonly manifests: readonly string[];
}

function plan(
  manifests: Manifests,
  tags: readonly InventoryTag[],
  ...rules: readonly Partial<RetentionRule>[]
): Planned {
  const names = new Map(Object.keys(manifests).map((name) => [digestOf(name), name]));
  const inventory: RepositoryInventory = { name: 'team/app', tags, manifests: manifestsOf(manifests) };
  const complete = rules.map((rule) => ({ repositories: ['team/**'], ...rule }));
  const planned = planRetention(inventory, complete, NOW);
  return {
    tags: planned.tags.map(({ tag }) => tag),
    manifests: planned.manifests.map(({ digest }) => names.get(digest) ?? digest),
  };
}

const untagged = { removeUntaggedAfterMs: 7 * DAY };

describe('tags', () => {
  const manifests: Manifests = { a: [30], b: [20], c: [10], d: [1] };
  const tags = [tagOf('v1', 'a', 30), tagOf('v2', 'b', 20), tagOf('v3', 'c', 10), tagOf('latest', 'd', 1)];

  test('the newest stay', () => {
    expect(plan(manifests, tags, { keepNewest: 2 }).tags).toEqual(['v1', 'v2']);
    expect(plan(manifests, tags, { tags: ['v*'], keepNewest: 2 }).tags).toEqual(['v1']);
    expect(plan(manifests, tags, { keepNewest: 0 }).tags).toEqual(['v1', 'v2', 'v3', 'latest']);
    const same = [tagOf('v1', 'a', 1), tagOf('v9', 'b', 1), tagOf('v10', 'c', 1)];
    expect(plan(manifests, same, { keepNewest: 1 }).tags).toEqual(['v1', 'v10']);
  });

  test('the young stay, and those that are named', () => {
    expect(plan(manifests, tags, { keepWithinMs: 15 * DAY }).tags).toEqual(['v1', 'v2']);
    expect(plan(manifests, tags, { keepWithinMs: 10 * DAY }).tags).toEqual(['v1', 'v2']);
    expect(plan(manifests, tags, { keepTags: ['latest', '*1'] }).tags).toEqual(['v2', 'v3']);
    expect(plan(manifests, tags, { keepNewest: 1, keepTags: ['v1'] }).tags).toEqual(['v2', 'v3']);
  });

  test('what any rule wants stays, and what no rule governs', () => {
    const rules = [{ keepNewest: 1 }, { tags: ['v*'], keepNewest: 1 }];
    expect(plan(manifests, tags, ...rules).tags).toEqual(['v1', 'v2']);
    expect(plan(manifests, tags, { tags: ['w*'], keepNewest: 0 }).tags).toEqual([]);
    expect(plan(manifests, tags, { repositories: ['other'], keepNewest: 0, ...untagged })).toEqual({
      tags: [],
      manifests: [],
    });
    expect(plan(manifests, tags, {}).tags).toEqual([]);
  });

  test('immutable ones stay with what they name', () => {
    const some = [tagOf('v1', 'a', 30, true), tagOf('v2', 'b', 20)];
    expect(plan({ a: [30], b: [20] }, some, { keepNewest: 0, ...untagged })).toEqual({
      tags: ['v2'],
      manifests: ['b'],
    });
  });

  test('a removed one says why', () => {
    const rule = { repositories: ['**'], keepNewest: 1, keepWithinMs: 5, keepTags: ['a', 'b*'] };
    const inventory = { name: 'x', tags, manifests: manifestsOf(manifests) };
    expect(planRetention(inventory, [rule], NOW).tags[0]).toEqual({
      tag: 'v1',
      digest: digestOf('a'),
      reason: 'not one of the newest 1, older than 5 ms, not a or b*',
    });
  });
});

describe('manifests', () => {
  test('without a rule for them stay, whatever their age', () => {
    expect(plan({ a: [900] }, [tagOf('t', 'a', 900)], { keepNewest: 0 })).toEqual({ tags: ['t'], manifests: [] });
  });

  test('without a tag go when they are old, also when their last tag goes now', () => {
    const manifests: Manifests = { old: [8], young: [7], tagged: [30], losing: [30] };
    const tags = [tagOf('stays', 'tagged', 1), tagOf('goes', 'losing', 30)];
    expect(plan(manifests, tags, { keepWithinMs: DAY, ...untagged })).toEqual({
      tags: ['goes'],
      manifests: ['old', 'losing'],
    });
  });

  test('of several ages the longest counts', () => {
    expect(plan({ a: [8] }, [], untagged, { removeUntaggedAfterMs: 9 * DAY }).manifests).toEqual([]);
  });

  test('members of a kept index stay, at any depth; those of a removed one go after it', () => {
    const manifests: Manifests = { amd: [30], arm: [30], inner: [30, 'arm'], index: [30, 'amd inner'] };
    expect(plan(manifests, [tagOf('t', 'index', 1)], untagged).manifests).toEqual([]);
    const removed = plan(manifests, [], untagged).manifests;
    expect([...removed].sort()).toEqual(['amd', 'arm', 'index', 'inner']);
    expect(removed[0]).toBe('index');
    expect(removed.indexOf('inner')).toBeLessThan(removed.indexOf('arm'));
  });

  test('a member that two indexes share goes after both', () => {
    const manifests: Manifests = { shared: [30], one: [30, 'shared'], two: [30, 'shared one'] };
    expect(plan(manifests, [], untagged).manifests).toEqual(['two', 'one', 'shared']);
    expect(plan(manifests, [tagOf('t', 'one', 1)], untagged).manifests).toEqual(['two']);
  });

  test('referrers live and die with their subject, and what refers to them', () => {
    const manifests: Manifests = {
      image: [30],
      sbom: [30, '', 'image'],
      signature: [30, '', 'sbom'],
      other: [30, '', 'x'],
    };
    expect(plan(manifests, [tagOf('t', 'image', 1)], untagged).manifests).toEqual(['other']);
    const removed = plan(manifests, [], untagged).manifests;
    expect(removed.filter((name) => name !== 'other')).toEqual(['image', 'sbom', 'signature']);
  });

  test('a subject stays while a tag, or a young manifest, refers to it', () => {
    expect(plan({ image: [30], sbom: [30, '', 'image'] }, [tagOf('t', 'sbom', 1)], untagged).manifests).toEqual([]);
    expect(plan({ image: [30], sbom: [1, '', 'image'] }, [], untagged).manifests).toEqual([]);
  });

  test('referrers of a member of a kept index stay', () => {
    const manifests: Manifests = { amd: [30], index: [30, 'amd'], sbom: [30, '', 'amd'] };
    expect(plan(manifests, [tagOf('t', 'index', 1)], untagged).manifests).toEqual([]);
  });

  test('what is attached by its tag’s name is no tag of its own', () => {
    const tag = `${digestOf('image').replace(':', '-')}.sig`;
    const manifests: Manifests = { image: [30], signature: [1] };
    const attached = tagOf(tag, 'signature', 1);
    const rule = { keepNewest: 1, ...untagged };
    expect(plan(manifests, [tagOf('v1', 'image', 30), attached], rule)).toEqual({ tags: [], manifests: [] });
    expect(plan(manifests, [attached], rule)).toEqual({ tags: [tag], manifests: ['image', 'signature'] });
    // Its subject is not here: then it is one.
    expect(plan({ signature: [30] }, [attached], { keepNewest: 0, ...untagged })).toEqual({
      tags: [tag],
      manifests: ['signature'],
    });
  });

  test('all stay where one is damaged, or a tag leads nowhere', () => {
    const manifests = manifestsOf({ a: [30], b: [30] });
    const damaged = manifests.map((manifest, at) => ({ ...manifest, unreadable: at === 0 }));
    const rules = [{ repositories: ['**'], ...untagged }];
    expect(planRetention({ name: 'x', tags: [], manifests: damaged }, rules, NOW).manifests).toEqual([]);
    const tags = [tagOf('t', 'damaged', 1)];
    expect(planRetention({ name: 'x', tags, manifests }, rules, NOW).manifests).toEqual([]);
  });

  test('that refer to each other in a ring are removed all the same', () => {
    const manifests: Manifests = { i: [30, 'm', 's'], m: [30, 's'], s: [30] };
    expect([...plan(manifests, [], untagged).manifests].sort()).toEqual(['i', 'm', 's']);
  });

  test('a chain of twenty thousand is planned in a moment', () => {
    const names = Array.from({ length: 20_000 }, (_, at) => digestOf(String(at)));
    const manifests = names.map((digest, at) => {
      const members = names.slice(at + 1, at + 3);
      return { digest, sizeBytes: 1, subject: undefined, members, pushedAtMs: 0 };
    });
    const begun = performance.now();
    const rules = [{ repositories: ['**'], ...untagged }];
    const planned = planRetention({ name: 'x', tags: [], manifests }, rules, NOW);
    expect(planned.manifests.map(({ digest }) => digest)).toEqual(names);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});

test('tags that are attached to a digest', () => {
  const hex = 'a'.repeat(64);
  expect(subjectOfTag(`sha256-${hex}`)).toBe(`sha256:${hex}`);
  expect(subjectOfTag(`sha256-${hex}.att`)).toBe(`sha256:${hex}`);
  for (const tag of [`sha512-${hex}`, `sha256-${hex}x`, `sha256-${hex.slice(1)}`, 'v1']) {
    expect(subjectOfTag(tag)).toBeUndefined();
  }
});

test.each([
  [[{ repositories: ['a'] }], 'retention[0]: want keepNewest, keepWithinMs, keepTags or removeUntaggedAfterMs'],
  [[{ repositories: ['a'], tags: ['v*'] }], 'retention[0]: want keepNewest'],
  [[{ repositories: ['a'], tags: ['v*'], removeUntaggedAfterMs: 1 }], 'retention[0].tags: want keepNewest'],
  [[{ repositories: [], keepNewest: 1 }], 'retention[0].repositories: want at least one'],
  [[{ repositories: ['a'], keepNewest: 1.5 }], 'retention[0].keepNewest: want an integer'],
  [[{ repositories: ['a'], keepLatest: 1 }], 'retention[0].keepLatest: want one of'],
])('%j is refused', (value, message) => {
  expect(() => parseRetention(value)).toThrow(message);
});
