import { describe, expect, it } from '@jest/globals';

import { overlayMountData } from './mount-data.ts';
import { planOverlay } from './plan.ts';

const dataOf = (lowerDirs: readonly string[], shorten: (dir: string) => string = () => '/s'): string => {
  const plan = planOverlay({ lowerDirs, upperDir: '/upper', workDir: '/work', volatile: true });
  return plan.type === 'overlay' ? overlayMountData(plan.settings, shorten) : 'bind';
};
const layers = (count: number): string[] => Array.from({ length: count }, (_, i) => `/layers/${'x'.repeat(40)}-${i}`);

describe('overlayMountData', () => {
  it('joins the layers, topmost first, and leaves out what only a context takes', () => {
    expect(dataOf(['/top', '/base'])).toBe(
      'redirect_dir=nofollow,metacopy=off,index=off,volatile,upperdir=/upper,workdir=/work,lowerdir=/top:/base',
    );
  });

  it('gives all directories short names when they would not fit into a page', () => {
    expect(dataOf(layers(200))).toMatch(/upperdir=\/s,workdir=\/s,lowerdir=(\/s:){199}\/s$/);
  });

  it.each(['a:b', 'a,b', 'a\\b'])('gives short names instead of escaping %s', (name) => {
    expect(dataOf([`/${name}`, '/base'])).toMatch(/lowerdir=\/s:\/s$/);
  });

  it('refuses what does not fit even so', () => {
    expect(() => dataOf(layers(300), () => '/proc/self/fd/100')).toThrow(
      expect.objectContaining({ code: 'OVERLAY_TOO_MANY_LAYERS' }),
    );
  });
});
