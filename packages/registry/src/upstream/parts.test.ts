import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';
import { ImageError } from '@tsc/image';
import type { Descriptor, ImageErrorCode } from '@tsc/image';

import { isRegistryError } from '../errors.ts';
import { ExpiringMap } from './expiring-map.ts';
import { isAway, isNoAnswer, refusalOf } from './failure.ts';
import { isForeign, selectMembers } from './selection.ts';
import { SharedCalls } from './shared-calls.ts';
import { Spool } from './spool.ts';

test('a map forgets what is over, and the oldest of too many', async () => {
  const map = new ExpiringMap<number>(2);
  map.set('a', 1, 10_000);
  map.set('b', 2, 10_000);
  map.set('a', 3, 10_000);
  map.set('c', 4, 20);
  expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([3, undefined, 4]);
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(map.get('c')).toBeUndefined();
  map.set('d', 5, 0);
  expect(map.get('d')).toBeUndefined();
});

test('calls are shared while they run, and go on when who waits goes away', async () => {
  const calls = new SharedCalls();
  const answer = Promise.withResolvers<number>();
  let made = 0;
  const run = (): Promise<number> => {
    made += 1;
    return answer.promise;
  };
  const leaving = new AbortController();
  const first = calls.share('key', leaving.signal, run);
  const second = calls.share('key', undefined, run);
  leaving.abort(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  answer.resolve(7);
  expect([await second, made]).toEqual([7, 1]);
  await calls.settled();
  expect([await calls.share('key', undefined, run), made]).toEqual([7, 2]);
});

test('what upstream says is told to a client without naming hosts', () => {
  const refusal = (code: ImageErrorCode): readonly [string, number, string] => {
    const refused = refusalOf(new ImageError(code, 'at secret.internal'), 'hub');
    return isRegistryError(refused) ? [refused.code, refused.status, refused.message] : ['none', 0, ''];
  };
  expect(refusal('REGISTRY_UNREACHABLE')).toEqual(['UNSUPPORTED', 502, "the upstream of hub can't be reached"]);
  expect(refusal('REGISTRY_THROTTLED').slice(0, 2)).toEqual(['TOOMANYREQUESTS', 429]);
  expect(refusal('REGISTRY_UNAUTHORIZED').slice(0, 2)).toEqual(['DENIED', 403]);
  expect(refusal('CONTENT_MISMATCH').slice(0, 2)).toEqual(['UNSUPPORTED', 502]);
  const late = Object.assign(new Error('late'), { name: 'TimeoutError' });
  expect(refusalOf(late, '')).toMatchObject({ status: 504, message: 'the upstream registry did not answer in time' });
  expect([isAway(late), isNoAnswer(late)]).toEqual([true, true]);
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  expect(refusalOf(full, 'hub')).toBe(full);
  const [gone, lie] = (['REGISTRY_NOT_FOUND', 'CONTENT_MISMATCH'] as const).map((code) => new ImageError(code, 'x'));
  expect([isNoAnswer(gone), isAway(gone), isNoAnswer(lie), isAway(lie)]).toEqual([false, false, true, false]);
});

test('members of an index are chosen by platform, with what is attested about them', () => {
  const member = (hex: string, architecture: string, more: Partial<Descriptor> = {}): Descriptor => ({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: `sha256:${hex.repeat(64)}`,
    size: 1,
    platform: { os: architecture === 'unknown' ? 'unknown' : 'linux', architecture },
    ...more,
  });
  const [amd64, arm64] = [member('1', 'amd64'), member('2', 'arm64')];
  const about = (of: Descriptor, hex: string): Descriptor =>
    member(hex, 'unknown', { annotations: { 'vnd.docker.reference.digest': of.digest } });
  const members = [amd64, arm64, about(amd64, '3'), about(arm64, '4')];
  expect(selectMembers(members, undefined)).toBe(members);
  expect(selectMembers(members, ['linux/arm64', 'linux/s390x'])).toEqual([arm64, members[3]]);
  expect(() => selectMembers(members, ['linux/s390x'])).toThrow('no member for linux/s390x');
  expect(isForeign('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')).toBe(true);
  expect(isForeign('application/vnd.oci.image.layer.v1.tar+gzip')).toBe(false);
});

test('a spool is read behind its writer, from memory and from its file, which has no name', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tsc-registry-'));
  const spool = await Spool.open(dir);
  expect(await readdir(dir)).toEqual([]);
  const bytes = randomBytes(3_000_000);
  const readAll = async (first: number, last: number): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const piece of spool.readAll({ first, last })) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  };
  const early = readAll(0, bytes.length - 1);
  for (let at = 0; at < bytes.length; at += 70_001) {
    await spool.write(bytes.subarray(at, at + 70_001));
    spool.publish(Math.min(spool.writtenBytes, bytes.length - 1));
  }
  const late = readAll(10, bytes.length - 1);
  expect((await readAll(2_999_000, 2_999_998)).equals(bytes.subarray(2_999_000, -1))).toBe(true);
  spool.publish(bytes.length);
  expect((await early).equals(bytes)).toBe(true);
  expect((await late).equals(bytes.subarray(10))).toBe(true);
  spool.fail(new Error('broken'));
  await expect(readAll(0, 1)).rejects.toThrow('broken');
  await spool.release();
  await rm(dir, { recursive: true });
});
