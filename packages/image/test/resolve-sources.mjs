import { registerHooks } from 'node:module';

// For processes that tests start: @tsc/<name> is the package's source, as in the tests themselves.
registerHooks({
  resolve: (specifier, context, next) => {
    const name = /^@tsc\/([a-z]+)$/.exec(specifier)?.[1];
    return next(name === undefined ? specifier : new URL(`../../${name}/src/index.ts`, import.meta.url).href, context);
  },
});
