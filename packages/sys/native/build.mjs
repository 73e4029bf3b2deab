// Compiles the addon (sys.node) and tsc-init into prebuilt/<platform>-<arch>, each only when it is out of date.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = import.meta.dirname;
const outDir = join(here, '..', 'prebuilt', `${process.platform}-${process.arch}`);
const [compiler, ...compilerArgs] = (process.env.CC ?? 'cc').split(/\s+/).filter(Boolean);

const warnings = ['-std=gnu11', '-Wall', '-Wextra', '-Werror'];

const addonFlags = () => {
  const headers = createRequire(import.meta.url).resolve('node-api-headers');
  return [...warnings, '-O2', '-shared', '-fPIC', '-fvisibility=hidden', '-pthread', `-I${dirname(headers)}/include`];
};

// tsc-init brings its own memcpy and memset: without the last flag the compiler turns their loops into calls of themselves.
const initFlags = () => [
  ...warnings,
  ...['-Os', '-static', '-nostdlib', '-nostartfiles', '-ffreestanding', '-fno-stack-protector'],
  ...['-fno-asynchronous-unwind-tables', '-fno-tree-loop-distribute-patterns'],
  ...['-Wl,--build-id=none', '-Wl,-z,noexecstack', '-s'],
];

const filesIn = (dir) => (existsSync(dir) ? readdirSync(dir).map((name) => join(dir, name)) : []);
const mtime = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Returns whether `output` is up to date, compiling it if it was not. */
function build({ sourceDir, output, flags }) {
  const inputs = filesIn(sourceDir).filter((file) => /\.[chS]$/.test(file));
  const sources = inputs.filter((file) => !file.endsWith('.h'));
  if (sources.length === 0) return true;
  const target = join(outDir, output);
  if ([...inputs, fileURLToPath(import.meta.url)].every((file) => mtime(file) < mtime(target))) return true;

  mkdirSync(outDir, { recursive: true });
  const temporary = `${target}.${process.pid}.tmp`;
  const { error, status } = spawnSync(compiler, [...compilerArgs, ...flags(), '-o', temporary, ...sources], {
    stdio: 'inherit',
  });
  if (error?.code === 'ENOENT') {
    console.error(`build.mjs: no C compiler: '${compiler}' was not found; install gcc or clang, or set CC`);
  } else if (error !== undefined || status !== 0) {
    console.error(`build.mjs: cannot compile ${output}: ${error?.message ?? `${compiler} ended with ${status}`}`);
  } else {
    renameSync(temporary, target);
    console.log(`compiled ${output}`);
    return true;
  }
  rmSync(temporary, { force: true });
  return false;
}

if (process.platform !== 'linux') {
  console.log('build.mjs: nothing to compile: the native part needs Linux');
} else {
  const results = [
    build({ sourceDir: join(here, 'addon'), output: 'sys.node', flags: addonFlags }),
    build({ sourceDir: join(here, 'init'), output: 'tsc-init', flags: initFlags }),
  ];
  process.exitCode = results.every(Boolean) ? 0 : 1;
}
