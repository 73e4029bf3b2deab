import { describe, expect, it } from '@jest/globals';

import { imageOf, listTar } from '../../test/tar-list.ts';
import { extractImage } from './extract.ts';
import { annotate, emptyImage, manifestDigest, withConfig, type Image } from './image.ts';
import { rebaseImage } from './rebase.ts';
import { validateImage } from './validate.ts';

const base = (content: string): Promise<Image> => imageOf([{ name: 'base', content }]);
const app = { name: 'app', content: 'app' };

describe('rebaseImage', () => {
  it('keeps the upper layers, the config and the history of the image', async () => {
    const [old, repaired] = [
      await base('old'),
      await imageOf([{ name: 'base', content: 'new' }], [{ name: 'more', content: '' }]),
    ];
    const image = withConfig(await imageOf([{ name: 'base', content: 'old' }], [app]), {
      config: { Cmd: ['app'] },
      history: { created_by: 'CMD app' },
    });
    const rebased = rebaseImage(image, old, repaired);
    await validateImage(rebased);
    expect(await listTar(extractImage(rebased))).toEqual(['base file new', 'more file', 'app file app']);
    expect(rebased.config).toMatchObject({
      config: { Cmd: ['app'] },
      history: [
        { created_by: 'step 0' },
        { created_by: 'step 1' },
        { created_by: 'step 1' },
        { created_by: 'CMD app', empty_layer: true },
      ],
    });
    expect(manifestDigest(rebaseImage(rebased, repaired, old))).toBe(manifestDigest(image));
  });

  it('makes up what histories leave out, and follows the annotation of the base', async () => {
    const old = await base('old');
    const silent = withConfig(old, {});
    const bare: Image = { ...silent, config: { ...silent.config, history: undefined } };
    const image = annotate(await imageOf([{ name: 'base', content: 'old' }], [app]), {
      'org.opencontainers.image.base.digest': manifestDigest(old),
      other: 'x',
    });
    const rebased = rebaseImage(image, bare, bare);
    expect(rebased.config.history).toEqual([{}, { created_by: 'step 1' }]);
    const onto = await base('new');
    expect(rebaseImage(image, old, onto).manifest.annotations).toEqual({
      'org.opencontainers.image.base.digest': manifestDigest(onto),
      other: 'x',
    });
    expect(rebaseImage(image, emptyImage({ architecture: 'amd64' }), onto).layers).toHaveLength(3);
  });

  it('refuses another base, and another platform', async () => {
    const [image, old] = [await imageOf([{ name: 'base', content: 'old' }], [app]), await base('old')];
    expect(() => rebaseImage(image, old, emptyImage({ architecture: 'arm64' }))).toThrow(
      'cannot rebase: the image is for linux/amd64, the new base for linux/arm64',
    );
    for (const other of [await base('other'), await imageOf([{ name: 'base', content: 'old' }], [app], [app])]) {
      expect(() => rebaseImage(image, other, old)).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }));
    }
  });
});
