import { readFileSync } from 'node:fs';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { defineConfig } from 'tsup';

type Config = Exclude<Parameters<typeof defineConfig>[0], readonly unknown[] | ((...words: never[]) => unknown)>;
type Plugin = NonNullable<Config['esbuildPlugins']>[number];

const imageDir = join(import.meta.dirname, '../image/src');

/** Which file of `@tsc/image` has each name that its `index.ts` lists. */
const homes = new Map(
  [...readFileSync(join(imageDir, 'index.ts'), 'utf8').matchAll(/export \{([^}]*)\} from '\.\/([^']+)'/g)].flatMap(
    ([, names = '', file = '']) => namesIn(names).map((name) => [name, join(imageDir, file)] as const),
  ),
);

function namesIn(list: string): readonly string[] {
  const names = list.split(',').map((name) => name.trim());
  return names.filter((name) => name !== '' && !name.startsWith('type '));
}

/**
 * Lets whoever imports something from `@tsc/image` import the file that has it. esbuild puts all that an index lists into
 * one chunk, however little of it is wanted: every command would load what speaks with registries, which takes longer than
 * all the rest together.
 */
const directImports: Plugin = {
  name: 'direct imports of @tsc/image',
  setup: (build) => {
    build.onLoad(
      { filter: /\/packages\/(?:cli\/src|engine\/src|engine\/dist|builder\/dist)\/.*\.[jt]s$/ },
      async ({ path }) => {
        const text = await readFile(path, 'utf8');
        const contents = text.replaceAll(/^import \{([^}]*)\} from ['"]@tsc\/image['"];/gm, (_, names: string) =>
          namesIn(names).map(importOf).join(' '),
        );
        return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
      },
    );
  },
};

function importOf(specifier: string): string {
  const file = homes.get(specifier.split(' as ')[0] ?? '');
  if (file === undefined) throw new Error(`@tsc/image exports no ${specifier}`);
  return `import { ${specifier} } from ${JSON.stringify(file)};`;
}

/**
 * One bundle with every package in it, split so that a command loads its own part only. Chunks lie directly in `dist`,
 * because `@tsc/sys` looks for its binaries in `../prebuilt` of the file that it ended up in.
 */
const config: ReturnType<typeof defineConfig> = defineConfig({
  // Programs that others start by path, by the name of their file in dist. The engine starts `cleanup.js` beside itself.
  entry: { main: 'src/main.ts', index: 'src/index.ts', cleanup: '../engine/src/cleanup.ts' },
  format: ['esm'],
  target: 'esnext',
  platform: 'node',
  dts: { entry: 'src/index.ts' },
  sourcemap: false,
  clean: true,
  splitting: true,
  minifySyntax: true,
  noExternal: [/^@tsc\//, 'undici', 'yaml', 'tar'],
  // undici and yaml are CommonJS, and ask for Node's own modules with `require`, which modules don't have.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
  },
  esbuildPlugins: [directImports],
  esbuildOptions: (options) => {
    // The same files for those who want everything.
    options.alias = { '@tsc/image': join(imageDir, 'index.ts') };
  },
  onSuccess: async () => {
    await cp('../sys/prebuilt', 'prebuilt', { recursive: true, force: true });
  },
});

export default config;
