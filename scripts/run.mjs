// What `npm start`, `npm test` and the other scripts do. It runs on any Node >= 20, because its first task is to bring
// in the Node 24 and the pnpm that everything else runs on: into .tools/ of this checkout, never globally.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const NODE_MAJOR = 24;
const PNPM_VERSION = '12';

const root = join(import.meta.dirname, '..');
const tools = join(root, '.tools');
const toolNode = join(tools, 'node_modules', 'node', 'bin', 'node');
const toolPnpm = join(tools, 'node_modules', '.bin', 'pnpm');

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Runs a program to its end, on our Node, and ends with its exit code if that isn't 0. */
function run(command, args, { env = {}, quiet = false } = {}) {
  const paths = [
    join(tools, 'node_modules', 'node', 'bin'),
    join(tools, 'node_modules', '.bin'),
    join(root, 'node_modules', '.bin'),
  ];
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    env: { ...process.env, ...env, PATH: [...paths, process.env.PATH].join(delimiter) },
  });
  if (result.error) fail(`${command}: ${result.error.message}`);
  if (result.status === 0) return;
  if (quiet) process.stderr.write(Buffer.concat([result.stdout, result.stderr]));
  process.exit(result.status ?? 1);
}

const nodeIsRecent = () => Number(process.versions.node.split('.')[0]) >= NODE_MAJOR;
const node = () => (existsSync(toolNode) ? toolNode : process.execPath);

/** The toolchain: Node 24 unless the one that runs this is as recent, and pnpm. */
function bringTools() {
  if ((nodeIsRecent() || existsSync(toolNode)) && existsSync(toolPnpm)) return;
  // Both, even where one is there: npm takes away what it isn't told of.
  const wanted = [...(nodeIsRecent() ? [] : [`node@${NODE_MAJOR}`]), `pnpm@${PNPM_VERSION}`];
  console.log(`bringing ${wanted.join(' and ')} into .tools/`);
  run('npm', ['install', '--prefix', tools, '--no-save', '--no-audit', '--no-fund', ...wanted], { quiet: true });
  if (!nodeIsRecent() && !existsSync(toolNode))
    fail(`npm installed node@${NODE_MAJOR}, but its program is not in .tools/`);
}

function install() {
  bringTools();
  // pnpm looks at its own lock file first and does nothing when nothing has changed.
  run(toolPnpm, ['install', '--frozen-lockfile', '--prefer-offline'], { quiet: true });
}

function build() {
  install();
  run(
    node(),
    [join(root, 'node_modules', 'turbo', 'bin', 'turbo'), 'run', 'build', '--output-logs=errors-only', '--ui=stream'],
    {
      env: { TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', TURBO_NO_UPDATE_NOTIFIER: '1' },
      quiet: true,
    },
  );
}

const isRoot = () => process.getuid?.() === 0;

function test(args) {
  build();
  const env = isRoot() ? { TSC_TEST_ROOT: '1' } : {};
  if (!isRoot()) {
    console.log('not root: the tests that make namespaces, mounts, cgroups and links (*.root.test.ts) are left out');
  }
  run(node(), [join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...args], { env });
}

function check() {
  build();
  run(node(), [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json']);
  run(node(), [join(root, 'node_modules', 'eslint', 'bin', 'eslint.js'), '.']);
  run(node(), [join(root, 'node_modules', 'prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.']);
}

const [task = '', ...args] = process.argv.slice(2);
const tasks = {
  start: () => {
    const began = performance.now();
    console.log('installing and building …');
    build();
    console.log(`  done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    run(node(), ['examples/hello/run.ts', ...args]);
  },
  test: () => test(args),
  build,
  check,
  bench: () => {
    build();
    run(node(), ['bench/start.ts', ...args]);
  },
};
if (!Object.hasOwn(tasks, task)) fail(`usage: node scripts/run.mjs ${Object.keys(tasks).join('|')}`);
tasks[task]();
