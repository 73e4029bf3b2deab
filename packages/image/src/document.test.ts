import { describe, expect, it } from '@jest/globals';

import { parseImageConfig } from './image-config.ts';
import { parseIndex, parseManifest } from './manifest.ts';

const digest = `sha256:${'0'.repeat(64)}`;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const invalid = expect.objectContaining({ name: 'ImageError', code: 'DOCUMENT_INVALID' });

describe('documents from outside', () => {
  it('reads a config as Go writes it, with nulls', () => {
    const config = parseImageConfig(
      json({
        architecture: 'amd64',
        os: 'linux',
        config: {
          Cmd: null,
          Env: ['A=b'],
          ExposedPorts: { '80/tcp': {} },
          Healthcheck: { Test: ['NONE'] },
          Unknown: 1,
        },
        rootfs: { type: 'layers', diff_ids: null },
        history: [{ created_by: 'x', empty_layer: true }],
      }),
    );
    expect(config).toEqual({
      architecture: 'amd64',
      os: 'linux',
      config: { Env: ['A=b'], ExposedPorts: { '80/tcp': {} }, Healthcheck: { Test: ['NONE'] } },
      rootfs: { type: 'layers', diff_ids: [] },
      history: [{ created_by: 'x', empty_layer: true }],
    });
  });

  it('says where a wrong member stands', () => {
    expect(() =>
      parseManifest(json({ schemaVersion: 2, config: { mediaType: 'x', digest: 'x', size: 1 }, layers: [] })),
    ).toThrow('invalid manifest: config: digest: "x" is no sha256 digest');
    expect(() =>
      parseManifest(json({ schemaVersion: 2, config: { mediaType: 'x', digest, size: -1 }, layers: [] })),
    ).toThrow(invalid);
    expect(() => parseManifest(json({ schemaVersion: 1 }))).toThrow(invalid);
    expect(() => parseIndex(json({ schemaVersion: 2, manifests: {} }))).toThrow(invalid);
    expect(() => parseImageConfig(json({ os: 'linux', architecture: ['x'], rootfs: {} }))).toThrow(invalid);
  });

  it('does not see inherited members and pollutes no prototype', () => {
    const text =
      '{"architecture":"a","os":"b","rootfs":{"diff_ids":[]},"config":{"Labels":{"__proto__":"x","constructor":"y"}}}';
    const config = parseImageConfig(Buffer.from(text));
    expect(Object.entries(config.config?.Labels ?? {})).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    expect(() => parseManifest(Buffer.from('{"__proto__":{"schemaVersion":2,"layers":[]}}'))).toThrow(invalid);
  });

  it('bounds depth and size before it parses', () => {
    expect(() => parseIndex(Buffer.from('['.repeat(1_000_000)))).toThrow(invalid);
    expect(() => parseIndex(Buffer.alloc(5 * 1024 ** 2, ' '))).toThrow(invalid);
    expect(() => parseIndex(Buffer.from([0x22, 0xff, 0x22]))).toThrow(invalid);
    expect(() => parseIndex(Buffer.from('{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["'))).toThrow(invalid);
  });
});
