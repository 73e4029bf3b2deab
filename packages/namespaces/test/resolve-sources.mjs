// For programs that run outside of Jest: packages are found in their sources, so that no build is needed.
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, next) {
    const name = /^@tsc\/([a-z]+)$/.exec(specifier)?.[1];
    if (name === undefined) return next(specifier, context);
    return next(new URL(`../../${name}/src/index.ts`, import.meta.url).href, context);
  },
});
