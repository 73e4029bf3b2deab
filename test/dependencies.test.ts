import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

import { describe, expect, it } from '@jest/globals';

/** The drawing in ARCHITECTURE.md as data: what each package may import. Arrows point down. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  sys: [],
  namespaces: ['sys'],
  cgroups: ['sys'],
  overlay: ['sys'],
  netlink: ['sys'],
  image: ['overlay', 'sys'],
  runtime: ['namespaces', 'cgroups', 'overlay', 'netlink', 'sys'],
  engine: ['runtime', 'image', 'namespaces', 'cgroups', 'overlay', 'netlink', 'sys'],
  builder: ['engine', 'image'],
  registry: ['image', 'sys'],
  compose: ['engine'],
  cli: ['builder', 'registry', 'compose', 'engine', 'image', 'sys'],
};

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly files: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const root = resolve(import.meta.dirname, '..');
const packageDir = (name: string): string => join(root, 'packages', name);
const manifestOf = (name: string): Manifest =>
  JSON.parse(readFileSync(join(packageDir(name), 'package.json'), 'utf8')) as Manifest;
const dependenciesOf = (name: string): string[] => {
  const { dependencies, optionalDependencies } = manifestOf(name);
  return Object.keys({ ...dependencies, ...optionalDependencies });
};
const siblings = (names: readonly string[]): string[] =>
  names.filter((name) => name.startsWith('@tsc/')).map((name) => name.slice('@tsc/'.length));

interface Import {
  readonly file: string;
  readonly specifier: string;
}

/** Static imports, re-exports, `import('…')` and `import.meta.resolve('…')` with a literal name. */
const importPattern =
  /^\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?\s*'([^']+)'|\bimport\(\s*'([^']+)'|import\.meta\.resolve\(\s*'([^']+)'/gm;

const importsOf = (name: string): Import[] =>
  globSync('src/**/*.ts', { cwd: packageDir(name) }).flatMap((file) =>
    [...readFileSync(join(packageDir(name), file), 'utf8').matchAll(importPattern)].map((match) => ({
      file: join(packageDir(name), file),
      specifier: match[1] ?? match[2] ?? match[3] ?? '',
    })),
  );

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
const isBare = ({ specifier }: Import): boolean => !specifier.startsWith('.') && !isBuiltin(specifier);
const label = ({ file, specifier }: Import): string => `${relative(root, file)} imports ${specifier}`;

it('knows every package', () => {
  const present = globSync('packages/*/package.json', { cwd: root }).map((path) => dirname(path).split('/')[1]);
  expect(present.sort()).toEqual(Object.keys(allowed).sort());
});

it('draws no cycle', () => {
  const reach = (name: string, path: readonly string[]): void => {
    expect(path).not.toContain(name);
    for (const next of allowed[name] ?? []) reach(next, [...path, name]);
  };
  for (const name of Object.keys(allowed)) reach(name, []);
});

describe.each(Object.keys(allowed))('@tsc/%s', (name) => {
  it('depends only on packages drawn below it', () => {
    const upward = siblings(dependenciesOf(name)).filter((sibling) => !allowed[name]?.includes(sibling));
    expect(upward).toEqual([]);
  });

  it('declares what it imports', () => {
    const known = [manifestOf(name).name, ...dependenciesOf(name), '@jest/globals'];
    const undeclared = importsOf(name).filter((found) => isBare(found) && !known.includes(packageOf(found.specifier)));
    expect(undeclared.map(label)).toEqual([]);
  });

  it('imports siblings only as their manifests export them', () => {
    const deep = importsOf(name)
      .filter(isBare)
      .filter(({ specifier }) => specifier.startsWith('@tsc/'))
      .filter(({ specifier }) => {
        const [sibling = ''] = siblings([packageOf(specifier)]);
        const entry = `.${specifier.slice(packageOf(specifier).length)}`;
        return !Object.keys(allowed).includes(sibling) || manifestOf(sibling).exports[entry] === undefined;
      });
    expect(deep.map(label)).toEqual([]);
  });

  it('reaches no file outside itself by a relative path', () => {
    const outside = importsOf(name)
      .filter(({ specifier }) => specifier.startsWith('.'))
      .filter(({ file, specifier }) => relative(packageDir(name), resolve(dirname(file), specifier)).startsWith('..'));
    expect(outside.map(label)).toEqual([]);
  });

  it('is published as the others are', () => {
    expect(manifestOf(name)).toMatchObject({
      name: `@tsc/${name}`,
      license: 'Apache-2.0',
      type: 'module',
      sideEffects: false,
      engines: { node: '>=24' },
      exports: {
        '.': { types: './dist/index.d.ts', default: './dist/index.js' },
        './package.json': './package.json',
      },
      publishConfig: { access: 'public', provenance: true },
    });
    expect(manifestOf(name).files).toContain('dist');
  });

  it('pins no sibling to a version of its own', () => {
    const { dependencies = {} } = manifestOf(name);
    const ranges = Object.entries(dependencies).filter(([key]) => key.startsWith('@tsc/'));
    expect(ranges.filter(([, range]) => range !== 'workspace:^')).toEqual([]);
  });
});
