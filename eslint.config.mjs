import { builtinRules } from 'eslint/use-at-your-own-risk';
import tseslint from 'typescript-eslint';

/** What ESLint itself recommends. `@eslint/js` would say the same, and be one more dependency. */
const recommended = Object.fromEntries(
  [...builtinRules].filter(([, rule]) => rule.meta.docs.recommended).map(([name]) => [name, 'error']),
);

/** File names are kebab-case subjects, with suffixes by role: `cpu-stat.ts`, `cgroup.root.test.ts`. */
const kebabCaseFiles = {
  meta: { type: 'suggestion', schema: [], messages: { name: 'file name "{{ name }}" is not kebab-case' } },
  create: (context) => ({
    Program(node) {
      const name = context.filename.split('/').at(-1);
      if (/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)+$/.test(name)) return;
      context.report({ node, messageId: 'name', data: { name } });
    },
  }),
};

const deepImports = [
  {
    regex: '^@tsc/[a-z]+/(?!testing$|package\\.json$)',
    message: 'import from the package root: what index.ts does not export is not for others',
  },
  {
    regex: '^(\\.\\./){2,}[a-z]+/(src|dist)/',
    message: 'import a sibling by its package name',
  },
];

export default tseslint.config(
  { ignores: ['**/dist/', '**/prebuilt/', '**/node_modules/', '**/coverage/', '.tools/', '.turbo/'] },
  {
    name: 'every file',
    files: ['**/*.{ts,mjs,js}'],
    plugins: { tsc: { rules: { 'kebab-case-files': kebabCaseFiles } } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      ...recommended,
      eqeqeq: 'error',
      'max-lines': ['error', 400],
      'max-lines-per-function': ['warn', { max: 60, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 3],
      'no-console': 'error',
      'no-restricted-imports': ['error', { patterns: deepImports }],
      'tsc/kebab-case-files': 'error',
    },
  },
  {
    name: 'sources, with their types',
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    // One program for all packages: tsconfig.json of the root maps their names to their sources.
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      // `using _held = …` is a variable for its end.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    name: 'programs outside TypeScript',
    files: ['**/*.{mjs,js}'],
    languageOptions: {
      globals: Object.fromEntries(Object.getOwnPropertyNames(globalThis).map((name) => [name, 'readonly'])),
    },
  },
  {
    name: 'libraries are told, and do not look around',
    files: ['packages/*/src/**/*.ts'],
    ignores: ['packages/cli/**', '**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: deepImports,
          paths: [{ name: 'node:process', message: 'the environment and arguments are parameters of a library' }],
        },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'the environment is a parameter of a library' },
        { object: 'process', property: 'argv', message: 'arguments are read by @tsc/cli' },
      ],
    },
  },
  {
    name: 'a program that a library runs',
    files: ['packages/engine/src/cleanup.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    name: 'what is made to print',
    files: ['packages/cli/**', '**/examples/**', 'bench/**', 'scripts/**', '**/*.mjs'],
    rules: { 'no-console': 'off' },
  },
  {
    name: 'system calls take what the man page says',
    files: ['packages/sys/**'],
    rules: { 'max-params': 'off' },
  },
  {
    name: 'a describe block is a chapter, and a row of it.each a list',
    files: ['**/*.test.ts', 'test/**'],
    rules: { 'max-lines-per-function': 'off', 'max-params': 'off' },
  },
);
