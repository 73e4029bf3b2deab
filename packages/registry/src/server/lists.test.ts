import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { AccessControl } from '../access/access.ts';
import { openFileSystemStorage } from '../filesystem/storage.ts';
import { compareBytes, takePage } from '../pagination.ts';
import { createRegistry } from './registry.ts';

let rootDir: string;
beforeAll(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
});
afterAll(() => rm(rootDir, { recursive: true }));

describe('a catalog of which one may see a little', () => {
  // The visible ones lie far apart, so that a page is gathered from many pages of the storage.
  const names = Array.from({ length: 5000 }, (_, index) => `team/app-${String(index)}`).sort(compareBytes);
  const visible = names.filter((_, index) => index % 700 === 3);
  const access: AccessControl = {
    authorize: () =>
      Promise.resolve({ account: 'alice', mayPull: (name) => visible.includes(name), mayPullAll: false }),
  };

  test.each([1, 2, 3, 5, visible.length, 5000])(
    'comes in whole pages of %i, whose links name nothing else',
    async (n) => {
      const storage = await openFileSystemStorage(rootDir);
      await using registry = createRegistry({
        storage: { ...storage, listRepositories: (page) => Promise.resolve(takePage(names, page)) },
        access,
      });
      const server = createServer(registry.handler).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const origin = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
      const pages: (readonly string[])[] = [];
      let path: string | undefined = `/v2/_catalog?n=${String(n)}`;
      while (path !== undefined) {
        const answer: Response = await fetch(`${origin}${path}`);
        pages.push(((await answer.json()) as { readonly repositories: readonly string[] }).repositories);
        const link = answer.headers.get('link');
        path = link === null ? undefined : /^<(.*)>/.exec(link)?.[1];
        if (path !== undefined) expect(visible).toContain(new URL(path, origin).searchParams.get('last'));
      }
      expect(pages.flat()).toEqual(visible);
      expect(pages.slice(0, -1).map((page) => page.length)).toEqual(pages.slice(0, -1).map(() => n));
      expect(pages.at(-1)).not.toHaveLength(0);
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  );
});
