import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { basename, join } from 'node:path';

/** Finds a program in `PATH`. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return directories
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Runs a program to its end, its output unseen. When it fails, runs it again to learn what it says. */
export async function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code === 0) return;
  output(program, args);
  throw new Error(`${basename(program)}: exit code ${String(code)}`);
}

/** Runs a program to its end and returns what it printed. @throws with what it said on standard error */
export function output(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  throw new Error(`${[program, ...args].join(' ')}: ${error?.message ?? stderr.trim()}`);
}

/** Whether a program can be run to a good end, and the first line that it prints then. */
export function version(program: string): string {
  return output(program, ['--version']).split('\n', 1)[0] ?? '';
}
