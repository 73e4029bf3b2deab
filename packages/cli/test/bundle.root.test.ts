import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

const dist = join(import.meta.dirname, '../dist');

const textOf = (file: string): string => readFileSync(join(dist, file), 'utf8');

/** What is loaded with a file, before anything of it runs. */
function loadedWith(file: string, seen: Set<string> = new Set()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = textOf(file);
  for (const [, next = ''] of text.matchAll(/^(?:import|export)\b[^;]*?"\.\/([^"]+)";/gm)) loadedWith(next, seen);
  return seen;
}

/** The file of a command, which ends in a hash of its content, or of a program that is started by its path. */
const filesOf = (name: string): readonly string[] =>
  readdirSync(dist).filter((file) => file.replace(/(-[A-Z0-9]{8})?\.js$/, '') === name);

const SPEAKS_WITH_REGISTRIES = /node_modules\/(undici|yaml)\//;

/** Loading them takes longer than all the rest of a command together. */
describe('what speaks with registries', () => {
  it.each(['ps', 'run', 'exec', 'images', 'inspect', 'load', 'save', 'import', 'cp', 'build', 'cleanup'])(
    'is not loaded with %s',
    (name) => {
      const files = filesOf(name);
      expect(files).not.toEqual([]);
      for (const loaded of files.flatMap((file) => [...loadedWith(file)])) {
        expect([loaded, textOf(loaded).match(SPEAKS_WITH_REGISTRIES)?.[0]]).toEqual([loaded, undefined]);
      }
    },
  );

  it('is somewhere', () => {
    const texts = readdirSync(dist).filter((file) => file.endsWith('.js'));
    expect(texts.some((file) => SPEAKS_WITH_REGISTRIES.test(textOf(file)))).toBe(true);
  });
});
