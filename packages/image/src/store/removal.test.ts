import { describe, expect, it } from '@jest/globals';

import { digestOf } from '../digest.ts';
import { OCI_MANIFEST } from '../media-types.ts';
import {
  addName,
  addRepoDigest,
  EMPTY_INDEX,
  readEntries,
  removeReferences,
  repoDigestsOf,
  type IndexEntry,
} from './index-file.ts';
import { findImage } from './lookup.ts';
import { planRemoval } from './removal.ts';

const entry = (id: string, repoDigests: readonly string[] = []): IndexEntry => ({
  descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(`manifest of ${id}`), size: 1 },
  id: digestOf(id),
  name: undefined,
  layerSizes: [1, 2],
  repoDigests,
});

const digested = (repository: string, what: string): string => `${repository}@${digestOf(what)}`;

const app = 'docker.io/library/app';
const other = 'example.com/other';

describe('the lines of an index', () => {
  it('keep an image when its last name goes to another, with the digests under which registries have it', () => {
    const first = addName(EMPTY_INDEX, entry('a', [digested(app, '1')]), `${app}:latest`);
    const both = addName(first, entry('b', [digested(app, '2')]), `${app}:latest`);
    expect(readEntries(both).map(({ id, name, repoDigests }) => [id, name, repoDigests])).toEqual([
      [digestOf('b'), `${app}:latest`, [digested(app, '2')]],
      [digestOf('a'), undefined, [digested(app, '1')]],
    ]);
    expect(findImage(readEntries(both), digested('app', '1')).entry.id).toBe(digestOf('a'));
  });

  it('have the same digests under every name of an image', () => {
    const named = addName(addName(EMPTY_INDEX, entry('a'), `${app}:1`), entry('a', [digested(app, '1')]), `${app}:2`);
    const pushed = addRepoDigest(named, digestOf('a'), digested(other, 'x'));
    for (const { repoDigests } of readEntries(pushed))
      expect(repoDigests).toEqual([digested(app, '1'), digested(other, 'x')].toSorted());
    expect(addRepoDigest(pushed, digestOf('nothing'), digested(other, 'x'))).toEqual(pushed);
  });

  it('carry no annotations of others over', () => {
    const foreign = {
      ...entry('a').descriptor,
      annotations: { 'org.opencontainers.image.ref.name': 'x', note: 'kept' },
    };
    const [line] = addName(EMPTY_INDEX, { ...entry('a'), descriptor: foreign }, undefined).manifests;
    expect(line?.annotations).toEqual({ note: 'kept', 'tsc.image.id': digestOf('a'), 'tsc.image.size': '1,2' });
  });
});

describe('a removal', () => {
  const index = [`${app}:1`, `${app}:2`, `${other}:1`].reduce(
    (sum, name) => addName(sum, entry('a', [digested(app, '1'), digested(other, '1')]), name),
    EMPTY_INDEX,
  );
  const plan = (word: string, force: boolean = false): readonly [readonly string[], boolean] => {
    const { references, last } = planRemoval(readEntries(index), word, force);
    return [references, last];
  };

  it('by name takes the digests of the repository along with its last name', () => {
    expect(plan('app:1')).toEqual([[`${app}:1`], false]);
    expect(plan(`${other}:1`)).toEqual([[`${other}:1`, digested(other, '1')], false]);
  });

  it('by digest takes that alone', () => {
    expect(plan(digested('app', '1'))).toEqual([[digested(app, '1')], false]);
    const left = removeReferences(index, digestOf('a'), [digested(app, '1')]);
    expect(repoDigestsOf(readEntries(left), digestOf('a'))).toEqual([digested(other, '1')]);
    expect(readEntries(left).map(({ name }) => name)).toEqual([`${app}:1`, `${app}:2`, `${other}:1`]);
  });

  it('by id takes everything, which must be meant', () => {
    const id = digestOf('a').slice(7, 19);
    expect(() => plan(id)).toThrow(
      `conflict: unable to delete ${id} (must be forced) - image is referenced in multiple repositories: ` +
        `app:1, app:2, ${other}:1`,
    );
    expect(plan(id, true)).toEqual([expect.arrayContaining([`${app}:1`, digested(other, '1')]), true]);
    const one = addName(EMPTY_INDEX, entry('b', [digested(app, '2')]), `${app}:3`);
    const { id: removed, last } = planRemoval(readEntries(one), digestOf('b'), false);
    expect([removed, last]).toEqual([digestOf('b'), true]);
  });
});
