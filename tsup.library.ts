import { defineConfig } from 'tsup';

/** The one build every library shares: ESM, declarations, source maps, and syntax left as written. */
export const library = (entry: readonly string[] = ['src/index.ts']): ReturnType<typeof defineConfig> =>
  defineConfig({
    entry: [...entry],
    format: ['esm'],
    target: 'esnext', // any other target rewrites `await using` into a helper
    platform: 'node',
    dts: true,
    sourcemap: true,
    clean: true,
    splitting: true,
  });
