/** For programs that are started again and again: what Node makes of their sources is kept in a directory between them. */
export const programEnvironment = (cacheDir: string): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  TSC_TEST_RUN: process.env['TSC_TEST_RUN'],
  NODE_COMPILE_CACHE: cacheDir,
});
