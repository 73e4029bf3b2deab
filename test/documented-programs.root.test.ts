import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { describeRoot } from './root.ts';

const root = join(import.meta.dirname, '..');
/** These need a registry to speak with, and are tested with one in registry-examples.root.test.ts. */
const testedWithRegistry = [
  'push-node-app.ts',
  'rebase.ts',
  'copy-image.ts',
  'multi-platform.ts',
  'registry-in-a-server.ts',
];
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Runs a program as a stranger would, on the built packages. */
function run(program: string): string {
  const result = spawnSync(process.execPath, [program], { cwd: root, encoding: 'utf8', timeout: 60_000 });
  if (result.status !== 0)
    throw new Error(`${program} ended with ${String(result.status)}:\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** The program that a package's README opens with. */
function openingProgram(readme: string): string | undefined {
  return /^```ts\n(.*?)^```$/ms.exec(readme)?.[1];
}

describeRoot('examples/', () => {
  const expected: Readonly<Record<string, RegExp>> = {
    'limit-memory.ts': /ended by SIGKILL, 1 killed for memory/,
    'try-a-change.ts': /modified \/motd/,
    'two-namespaces.ts': /eth0 has 10\.0\.0\.2\/24/,
    'own-network.ts': /root on sandbox, process 1/,
    'image-from-directory.ts': /^sha256:[0-9a-f]{64}$/m,
    'explain-request.ts': /"type":"manifest-read"/,
    'hello/run.ts':
      /fetched .*: hello from .*, pid 1, with 128 MiB of memory[^]*listening on port 80 \| GET \/ \| goodbye/,
  };

  test.each(Object.entries(expected))('%s runs and says what it should', (program, output) => {
    expect(run(join(root, 'examples', program))).toMatch(output);
  });

  test('every program of the folder is in the table of its README, and tested here', () => {
    const programs = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'));
    expect([...Object.keys(expected), ...testedWithRegistry]).toEqual(expect.arrayContaining(programs));
    const readme = read('examples/README.md');
    for (const program of programs) expect(readme).toContain(`[${program}](${program})`);
  });
});

describeRoot('README.md of a package', () => {
  const packages = readdirSync(join(root, 'packages'));

  test.each(packages)('@tsc/%s opens with a program that runs', (name) => {
    const readme = read(`packages/${name}/README.md`);
    const program = openingProgram(readme);
    // The command line's opens with commands.
    if (program === undefined) {
      expect(name).toBe('cli');
      expect(readme).toContain('```sh');
      return;
    }
    const dir = mkdtempSync(join(root, 'examples', 'readme-'));
    try {
      writeFileSync(join(dir, `${name}.ts`), program);
      run(join(dir, `${name}.ts`));
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('every link between documents leads somewhere', () => {
    const documents = [
      'README.md',
      'ARCHITECTURE.md',
      'CONTRIBUTING.md',
      'examples/README.md',
      ...packages.map((name) => `packages/${name}/README.md`),
    ];
    const broken = documents.flatMap((document) =>
      [...read(document).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !existsSync(join(root, document, '..', target)))
        .map((target) => `${document}: ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
