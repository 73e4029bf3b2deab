import vm from 'node:vm';

if (vm.SourceTextModule === undefined) {
  throw new Error('call jest with NODE_OPTIONS="--experimental-vm-modules", as `npm test` does');
}

// Unit tests live beside the code and need nothing; root tests end in .root.test.ts and run only as root.
const root = process.env.TSC_TEST_ROOT === '1';

export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript' },
          target: 'esnext',
          keepClassNames: true,
          experimental: { keepImportAttributes: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
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
