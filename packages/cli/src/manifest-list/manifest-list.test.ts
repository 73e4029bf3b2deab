import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DOCKER_MANIFEST, emptyImage, imageArtifact, OCI_MANIFEST } from '@tsc/image';

import { entryOf } from './entry.ts';
import type { ListEntry } from './entry.ts';
import { annotatePlatform } from './platform.ts';
import { ListStore } from './store.ts';

const list = 'docker.io/library/app:1';
const linux = { architecture: 'amd64', os: 'linux' };
const entry = (reference: string): ListEntry => entryOf(reference, imageArtifact(emptyImage()), linux);

describe('local manifest lists', () => {
  let dir = '';
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lists-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true });
  });

  it('keep lines, each once', () => {
    const lists = new ListStore(dir);
    expect(lists.read(list)).toBeUndefined();
    const [b, a] = [entry('docker.io/library/app:b'), entry('docker.io/library/app:a')];
    lists.save(list, b);
    lists.save(list, a);
    lists.save(list, { ...b, descriptor: { ...b.descriptor, platform: { architecture: 'arm64', os: 'linux' } } });
    expect(
      lists.read(list)?.map(({ reference, descriptor }) => [reference, descriptor.platform?.architecture]),
    ).toEqual([
      [a.reference, 'amd64'],
      [b.reference, 'arm64'],
    ]);
    expect(lists.find(list, a.reference)).toEqual(a);
    expect(lists.find(list, 'docker.io/library/app:c')).toBeUndefined();
    lists.remove(list);
    lists.remove(list);
    expect(lists.read(list)).toBeUndefined();
  });

  it('are files as Docker writes them', () => {
    const line = entry('docker.io/library/app:a');
    new ListStore(dir).save(list, line);
    const file = join(dir, 'docker.io_library_app-1/docker.io_library_app-a');
    const written = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const { manifest, manifestBytes } = emptyImage();
    expect(written).toEqual({
      Ref: line.reference,
      Descriptor: line.descriptor,
      Raw: manifestBytes.toString('base64'),
      OCIManifest: manifest,
      List: list,
    });
    expect(line.descriptor.mediaType).toBe(OCI_MANIFEST);
  });

  it('tell a list from another whose file has the same name', () => {
    const lists = new ListStore(dir);
    lists.save('docker.io/library/app:1-2', entry('docker.io/library/app:a'));
    expect(() => lists.read('docker.io/library/app-1:2')).toThrow(/belongs to the manifest list .*app:1-2/);
  });

  it.each([
    ['{', 'it is no JSON'],
    ['{}', 'it has no Ref'],
    ['{"Ref":"a"}', 'want an object'],
    [`{"Ref":"a","Descriptor":{"mediaType":"${DOCKER_MANIFEST}","size":1,"digest":"x"}}`, 'no sha256 digest'],
  ])('refuse the file %s', (text, why) => {
    const lists = new ListStore(dir);
    lists.save(list, entry('docker.io/library/app:a'));
    writeFileSync(join(dir, 'docker.io_library_app-1/docker.io_library_app-a'), text);
    expect(() => lists.read(list)).toThrow(why);
  });
});

describe('annotating a platform', () => {
  const nothing = { os: undefined, arch: undefined, variant: undefined, osVersion: undefined, osFeatures: [] };
  it('changes what is said, and no more', () => {
    expect(annotatePlatform(linux, { ...nothing, arch: 'arm', variant: 'v7' })).toEqual({
      architecture: 'arm',
      os: 'linux',
      variant: 'v7',
    });
    const windows = { architecture: 'amd64', os: 'windows', 'os.features': ['win32k'] };
    expect(annotatePlatform(windows, { ...nothing, osVersion: '10.0.1', osFeatures: ['win32k', 'x'] })).toEqual({
      ...windows,
      'os.version': '10.0.1',
      'os.features': ['win32k', 'x'],
    });
  });
  it('refuses machines that there are not', () => {
    expect(() => annotatePlatform(linux, { ...nothing, arch: 'z80' })).toThrow(
      'manifest entry for image has unsupported os/arch combination: linux/z80',
    );
    expect(() => annotatePlatform(undefined, { ...nothing, os: 'constructor' })).toThrow('constructor/');
  });
});
