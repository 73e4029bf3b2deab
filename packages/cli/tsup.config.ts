import { cp } from 'node:fs/promises';

import { defineConfig } from 'tsup';

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
  onSuccess: async () => {
    await cp('../sys/prebuilt', 'prebuilt', { recursive: true, force: true });
  },
});

export default config;
