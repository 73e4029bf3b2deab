import { deepEqual, equal } from 'node:assert/strict';

import { isRegistryError } from '../errors.ts';
import type { NewManifest } from '../storage.ts';
import { manifestOf, refuses } from './contract-steps.ts';
import type { ContractCase } from './contract-steps.ts';

const fixed = (text: string, ...tags: readonly string[]): NewManifest =>
  manifestOf(text, { tags, immutableTags: new Set(tags) });

/** What {@link NewManifest.immutableTags} promises. */
export const immutableTagContract: readonly ContractCase[] = [
  {
    title: 'an immutable tag is made, and the same push again is a success',
    run: async ({ one, other }) => {
      await one.writeManifest('a', fixed('x', 'v1', 'v2'));
      await one.writeManifest('a', fixed('x', 'v1', 'v2'));
      await other.writeManifest('a', fixed('x', 'v2', 'v3'));
      for (const tag of ['v1', 'v2', 'v3']) equal(await other.resolveTag('a', tag), fixed('x').digest);
    },
  },
  {
    title: 'an immutable tag never moves, and who tries has stored nothing',
    run: async ({ one, other }) => {
      await one.writeManifest('a', fixed('first', 'v1'));
      const second = manifestOf('second', { tags: ['v0', 'v1', 'w'], immutableTags: new Set(['v1', 'w']) });
      await refuses(other.writeManifest('a', second), 'DENIED', 403);
      equal(await other.resolveTag('a', 'v1'), fixed('first').digest);
      await refuses(one.readManifest('a', second.digest), 'MANIFEST_UNKNOWN');
      deepEqual((await one.listTags('a', { limit: undefined, after: undefined })).entries, ['v1']);
    },
  },
  {
    title: 'a tag that was there before it became immutable does not move either; others move beside it',
    run: async ({ one, other }) => {
      await one.writeManifest('a', manifestOf('first', { tags: ['v1', 'latest'] }));
      await refuses(other.writeManifest('a', fixed('second', 'v1')), 'DENIED');
      const third = manifestOf('third', { tags: ['v2', 'latest'], immutableTags: new Set(['v2']) });
      await other.writeManifest('a', third);
      equal(await one.resolveTag('a', 'latest'), third.digest);
      equal(await one.resolveTag('a', 'v1'), manifestOf('first').digest);
    },
  },
  {
    title: 'a tag that was deleted can be made again, for another manifest',
    run: async ({ one, other }) => {
      await one.writeManifest('a', fixed('first', 'v1'));
      await one.deleteTag('a', 'v1');
      await other.writeManifest('a', fixed('second', 'v1'));
      equal(await one.resolveTag('a', 'v1'), fixed('second').digest);
    },
  },
  {
    title: 'of twenty who make one immutable tag at once, exactly one manifest wins, and no tag of a loser moves',
    run: async ({ one, other }) => {
      await one.writeManifest('a', manifestOf('before', { tags: ['latest'] }));
      for (let round = 0; round < 5; round++) {
        const tag = `v${String(round)}`;
        const pushes = Array.from({ length: 20 }, (_, at) => ({
          storage: at % 2 === 0 ? one : other,
          manifest: manifestOf(`${tag} ${String(at % 10)}`, { tags: [tag, `by-${tag}-${String(at % 10)}`] }),
        }));
        const results = await Promise.allSettled(
          pushes.map(({ storage, manifest }) =>
            storage.writeManifest('a', { ...manifest, immutableTags: new Set([tag]) }),
          ),
        );
        const winner = await other.resolveTag('a', tag);
        for (const [at, result] of results.entries()) {
          const { digest } = pushes[at]?.manifest ?? manifestOf('none');
          equal(result.status === 'fulfilled', digest === winner);
          if (result.status === 'rejected') equal(isRegistryError(result.reason) && result.reason.code, 'DENIED');
        }
        const { entries } = await one.listTags('a', { limit: undefined, after: undefined });
        equal(entries.filter((entry) => entry.startsWith(`by-${tag}-`)).length, 1);
      }
    },
  },
];
