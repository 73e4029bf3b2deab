import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';
import { composeArtifact, composeIndex, describeArtifact, openRegistryClient, parsePlatform } from '@tsc/image';
import type { Artifact } from '@tsc/image';

import { describeRoot } from '../../../test/root.ts';
import { startDockerRegistry } from '../../image/test/docker-registry.ts';
import { openFileSystemStorage } from '../src/filesystem/storage.ts';
import type { RegistryStorage } from '../src/storage.ts';
import { copyReference, copyRepository } from '../src/upstream/copy.ts';
import { mirror, scheduleMirrors } from '../src/upstream/mirror.ts';
import type { CopyEvent, CopyReport } from '../src/upstream/options.ts';
import { artifactOf, push, startPlain, until, watchUpstream } from './upstream-servers.ts';

async function reportOf(events: AsyncIterable<CopyEvent>): Promise<CopyReport> {
  for await (const event of events) if (event.type === 'done') return event.report;
  throw new Error('no report');
}

async function tagsOf(storage: RegistryStorage, name: string): Promise<readonly string[]> {
  return (await storage.listTags(name, { limit: undefined, after: undefined })).entries;
}

interface TestStorage extends AsyncDisposable {
  readonly storage: RegistryStorage;
}

async function openStorage(): Promise<TestStorage> {
  const dir = await mkdtemp(join(tmpdir(), 'tsc-registry-mirror-'));
  return {
    storage: await openFileSystemStorage(dir),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
}

const memberFor = (platform: string): Artifact =>
  describeArtifact(artifactOf(randomBytes(1000)), { platform: parsePlatform(platform) });

const signatureOf = (subject: Artifact): Artifact =>
  composeArtifact({ artifactType: 'text/signature', blobs: [], subject: subject.descriptor });

describeRoot('copies between registries', () => {
  test('a mirror has what its patterns want, whole, with what refers to it, and asks little when nothing changed', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const [amd64, arm64] = [memberFor('linux/amd64'), memberFor('linux/arm64')];
    const index = composeIndex([amd64, arm64]);
    const [ofIndex, ofMember] = [signatureOf(index), signatureOf(arm64)];
    const sbomOfSignature = signatureOf(ofIndex);
    await push(`${origin.domain}/app:1.0`, index);
    await push(`${origin.domain}/app:1.1`, artifactOf(randomBytes(10)));
    await push(`${origin.domain}/app:2.0`, artifactOf(randomBytes(10)));
    for (const each of [ofIndex, ofMember, sbomOfSignature])
      await push(`${origin.domain}/app@${each.descriptor.digest}`, each);
    const cosign = artifactOf(randomBytes(10));
    await push(`${origin.domain}/app:${index.descriptor.digest.replace(':', '-')}.sig`, cosign);

    await using here = await openStorage();
    const { storage } = here;
    const what = { upstream: { registry: upstream.domain }, repository: 'app', to: 'copies/app', tags: ['1.*'] };
    const first = await reportOf(mirror(storage, what));
    expect(first).toMatchObject({ copiedTags: ['1.0', '1.1'], unchangedTags: [], failures: [], removedTags: [] });
    expect(first.manifests).toBe(8);
    expect(await tagsOf(storage, 'copies/app')).toEqual(
      ['1.0', '1.1', `${index.descriptor.digest.replace(':', '-')}.sig`].sort(),
    );
    for (const each of [index, amd64, arm64, ofIndex, ofMember, sbomOfSignature, cosign]) {
      const { bytes } = await storage.readManifest('copies/app', each.descriptor.digest);
      expect(Buffer.from(bytes)).toEqual(each.bytes);
      for (const { descriptor } of each.blobs)
        expect(await storage.statBlob('copies/app', descriptor.digest)).toEqual({ sizeBytes: descriptor.size });
    }
    const referrers = await storage.listReferrers('copies/app', index.descriptor.digest);
    expect(referrers.map(({ digest }) => digest)).toEqual([ofIndex.descriptor.digest]);

    upstream.requests.splice(0);
    expect(await reportOf(mirror(storage, what))).toMatchObject({
      copiedTags: [],
      unchangedTags: ['1.0', '1.1'],
      manifests: 0,
      blobs: 0,
    });
    expect(upstream.requests.filter((line) => line.startsWith('GET') && /manifests|blobs/.test(line))).toEqual([]);

    // A new signature comes, a tag moves, and one goes.
    const late = signatureOf(amd64);
    await push(`${origin.domain}/app@${late.descriptor.digest}`, late);
    await push(`${origin.domain}/app:1.1`, artifactOf(randomBytes(10)));
    await push(`${origin.domain}/app:1.2`, artifactOf(randomBytes(10)));
    await origin.storage.deleteTag('app', '1.0');
    expect(await reportOf(mirror(storage, { ...what, deleteExtra: true }))).toMatchObject({
      copiedTags: ['1.1', '1.2'],
      removedTags: ['1.0'],
    });
    expect((await storage.collectGarbage(0)).unlinkedBlobs).toBe(0);
  });

  test('some platforms of an index, later more', async () => {
    await using origin = await startPlain();
    const members = ['linux/amd64', 'linux/arm64', 'linux/s390x'].map(memberFor);
    const index = composeIndex(members);
    await push(`${origin.domain}/app:1`, index);
    await using here = await openStorage();
    const what = { upstream: { registry: origin.domain }, repository: 'app', to: 'app' };
    const digests = async (): Promise<readonly string[]> => {
      const found: string[] = [];
      for await (const { digest } of here.storage.listManifests('app')) found.push(digest);
      return found.sort();
    };
    await reportOf(mirror(here.storage, { ...what, platforms: ['linux/arm64'] }));
    expect(await digests()).toEqual([index.descriptor.digest, members[1]?.descriptor.digest].sort());
    const more = await reportOf(mirror(here.storage, { ...what, platforms: ['linux/arm64', 'linux/amd64'] }));
    expect(more).toMatchObject({ copiedTags: ['1'], manifests: 1 });
    const none = await reportOf(mirror(here.storage, { ...what, to: 'none', platforms: ['linux/riscv64'] }));
    expect(none.failures).toMatchObject([{ tag: '1', cause: { code: 'PLATFORM_NOT_FOUND' } }]);
    expect(await reportOf(mirror(here.storage, what))).toMatchObject({ copiedTags: ['1'], manifests: 1 });
    expect(await digests()).toHaveLength(4);
  });

  test('what was broken off goes on where it was, and one bad tag keeps nobody else back', async () => {
    await using origin = await startPlain();
    await using upstream = await watchUpstream(origin.url);
    const blobs = Array.from({ length: 6 }, () => randomBytes(50_000));
    await push(`${origin.domain}/app:a`, artifactOf(...blobs));
    await push(`${origin.domain}/app:b`, artifactOf(randomBytes(10)));
    await using here = await openStorage();
    const what = { upstream: { registry: upstream.domain }, repository: 'app', to: 'app' };
    let left = 3;
    const refused = new Set<string>();
    upstream.intercept = (request, response) => {
      if (request.method !== 'GET' || request.url?.includes('/blobs/') !== true) return false;
      if (left > 0) {
        left -= 1;
        return false;
      }
      refused.add(request.url);
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[{"code":"BLOB_UNKNOWN"}]}');
      return true;
    };
    const broken = await reportOf(mirror(here.storage, what));
    expect(broken.failures.map(({ tag }) => tag)).toContain('a');
    await expect(here.storage.resolveTag('app', 'a')).rejects.toThrow('manifest unknown');
    upstream.intercept = () => false;
    upstream.requests.splice(0);
    const whole = await reportOf(mirror(here.storage, what));
    expect(whole.copiedTags).toContain('a');
    const asked = upstream.requests.filter((line) => line.startsWith('GET') && line.includes('/blobs/'));
    // The empty config, which both have, was among the first.
    expect(asked.length).toBeLessThan(8);
    expect(await tagsOf(here.storage, 'app')).toEqual(['a', 'b']);

    const controller = new AbortController();
    controller.abort(new Error('enough'));
    await expect(reportOf(mirror(here.storage, what, { signal: controller.signal }))).rejects.toThrow('enough');
  });

  test('a schedule brings mirrors up to date again and again, also after a failure', async () => {
    await using origin = await startPlain();
    await push(`${origin.domain}/app:1`, artifactOf(randomBytes(10)));
    await using here = await openStorage();
    const [reports, failures]: [CopyReport[], unknown[]] = [[], []];
    const mirrors = ['app', 'nothing'].map((repository) => ({
      upstream: { registry: origin.domain },
      repository,
      to: `copies/${repository}`,
    }));
    const schedule = scheduleMirrors(here.storage, mirrors, {
      everyMs: 1000,
      onReport: (_what, report) => reports.push(report),
      onFailure: (_what, failure) => failures.push(failure),
    });
    await until(() => reports.length === 1 && failures.length === 1);
    expect(failures).toMatchObject([{ code: 'REGISTRY_NOT_FOUND' }]);
    await push(`${origin.domain}/app:2`, artifactOf(randomBytes(10)));
    await until(() => reports.length === 2);
    expect(reports[1]).toMatchObject({ copiedTags: ['2'], unchangedTags: ['1'] });
    await schedule.stop();
    await schedule.stop();
  });

  test("copies a repository or one image from Debian's registry to ours and back", async () => {
    await using debian = await startDockerRegistry();
    await using ours = await startPlain();
    const index = composeIndex([memberFor('linux/amd64'), memberFor('linux/arm64')]);
    const signature = signatureOf(index);
    await push(`${debian.domain}/app:1`, index);
    await push(`${debian.domain}/app:2`, artifactOf(randomBytes(10)));
    await push(`${debian.domain}/app@${signature.descriptor.digest}`, signature);
    await using client = openRegistryClient();
    const from = client.repository(`${debian.domain}/app`);
    const to = client.repository(`${ours.domain}/copies/app`);
    // Without the API, Debian's registry has the list of referrers under a tag, which is a copy like any other.
    const report = await reportOf(copyRepository(from, to));
    expect(report.failures).toEqual([]);
    expect(report.copiedTags).toEqual(expect.arrayContaining(['1', '2']));
    expect((await to.referrers(index.descriptor.digest)).manifests.map(({ digest }) => digest)).toEqual([
      signature.descriptor.digest,
    ]);
    const back = client.repository(`${debian.domain}/back`);
    await reportOf(copyReference({ repository: to, reference: '1' }, { repository: back, tag: 'one' }));
    expect((await back.artifact('one')).bytes).toEqual(index.bytes);
    expect((await back.referrers(index.descriptor.digest)).manifests).toHaveLength(1);
    const { digest } = index.descriptor;
    const again = await reportOf(copyReference({ repository: to, reference: digest }, { repository: back }));
    expect(again).toMatchObject({ manifests: 0, blobs: 0 });
  });
});
