// Unit tests live beside the code and need nothing; root tests end in .root.test.ts and run only as root.
const root = process.env.TSC_TEST_ROOT === '1';

const swc = (syntax) => [
  '@swc/jest',
  { jsc: { parser: { syntax }, target: 'esnext', keepClassNames: true }, module: { type: 'es6' } },
];

export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  // jose is published as ES modules only, which jest must be given as it is given ours.
  transform: { '^.+\\.ts$': swc('typescript'), '/node_modules/jose/.+\\.js$': swc('ecmascript') },
  transformIgnorePatterns: ['/node_modules/(?!(?:.*/)?jose/)'],
  setupFiles: ['<rootDir>/test/suppressed-error.mjs'],
  // Tests read the sources of every package, so that a change is tested without a build in between.
  moduleNameMapper: {
    '^@tsc/([a-z]+)$': '<rootDir>/packages/$1/src/index.ts',
    '^@tsc/([a-z]+)/testing$': '<rootDir>/packages/$1/src/testing.ts',
  },
  roots: ['<rootDir>/packages', '<rootDir>/test'],
  testMatch: root ? ['**/*.test.ts'] : ['**/*.test.ts', '!**/*.root.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  testTimeout: 60_000,
  // Root tests share one kernel, whose mounts and links they compare before and after.
  maxWorkers: root ? 1 : '50%',
};
