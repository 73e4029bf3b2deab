import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

import { commandGroups, commands } from './command-table.ts';
import type { CommandGroup } from './command-table.ts';
import { dispatch } from './dispatch.ts';

let output = { stdout: '', stderr: '' };
const realEuid = process.geteuid;

beforeEach(() => {
  output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    jest.spyOn(process[name], 'write').mockImplementation((chunk) => {
      output[name] += String(chunk);
      return true;
    });
  }
});
afterEach(() => {
  jest.restoreAllMocks();
  if (realEuid !== undefined) process.geteuid = realEuid;
});

const call = async (...words: readonly string[]) => ({ exitCode: await dispatch(words, {}), ...output });

const namesIn = (path: readonly string[], { verbs }: CommandGroup): readonly (readonly string[])[] =>
  Object.entries(verbs).flatMap(([verb, found]) =>
    typeof found !== 'string' && 'verbs' in found ? namesIn([...path, verb], found) : [[...path, verb]],
  );

describe('dispatch', () => {
  it('prints the list of commands', async () => {
    const { exitCode, stdout } = await call('--help');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Usage:  tsc [OPTIONS] COMMAND');
    expect(stdout).toContain('  run       Create and run a new container from an image');
    expect(stdout).not.toContain('run-root');
    expect(await call()).toMatchObject({ exitCode: 0 });
  });

  it.each(Object.keys(commands))('tsc %s --help shows its usage, to everybody', async (name) => {
    process.geteuid = () => 1000;
    const { exitCode, stdout, stderr } = await call(name, '--help');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: {2}tsc ${name} `));
    expect(stdout).toContain(commands[name]?.summary);
    expect((await call('help', name)).stdout).toContain(stdout);
  });

  it('knows commands by their group', async () => {
    expect((await call('container', 'run', '--help')).stdout).toMatch(/^Usage: {2}tsc container run \[OPTIONS\] IMAGE/);
    expect((await call('image')).stdout).toContain('Usage:  tsc image COMMAND');
    expect((await call('buildx', 'imagetools')).stdout).toContain('Usage:  tsc buildx imagetools COMMAND');
    output.stdout = '';
    expect((await call('buildx')).stdout).toContain('  imagetools   Commands to work on images in registry');
  });

  const longNames = Object.entries(commandGroups).flatMap(([name, group]) => namesIn([name], group));
  it.each(longNames.map((words) => [words.join(' '), words] as const))(
    'tsc %s --help shows its usage',
    async (_, words) => {
      process.geteuid = () => 1000;
      const { exitCode, stdout, stderr } = await call(...words, '--help');
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout.startsWith(`Usage:  tsc ${words.join(' ')} `)).toBe(true);
      expect((await call('help', ...words)).stdout).toContain(stdout);
    },
  );

  it.each([
    [['imgaes'], 1, "tsc: unknown command: tsc imgaes (did you mean images?).\nSee 'tsc --help'.\n"],
    [['constructor'], 1, "tsc: unknown command: tsc constructor.\nSee 'tsc --help'.\n"],
    [['image', 'lst'], 1, "tsc: unknown command: tsc image lst (did you mean list?).\nSee 'tsc --help'.\n"],
    [['buildx', 'imagetools', 'lst'], 1, "tsc: unknown command: tsc buildx imagetools lst.\nSee 'tsc --help'.\n"],
    [['image', 'prune', 'x'], 1, "tsc: 'tsc image prune' accepts no arguments.\nSee 'tsc image prune --help'.\n"],
    [['ps', '--al'], 125, "tsc: unknown flag: --al (did you mean --all?).\nSee 'tsc ps --help'.\n"],
    [['run'], 1, "tsc: 'tsc run' requires at least 1 argument.\nSee 'tsc run --help'.\n"],
    [['rename', 'a'], 1, "tsc: 'tsc rename' requires 2 arguments.\nSee 'tsc rename --help'.\n"],
    [['ps', 'a'], 1, "tsc: 'tsc ps' accepts no arguments.\nSee 'tsc ps --help'.\n"],
    [['-H', 'tcp://x', 'ps'], 125, "tsc: flag -H is not supported yet.\nSee 'tsc --help'.\n"],
  ])('refuses %j', async (words, exitCode, stderr) => {
    expect(await call(...words)).toEqual({ exitCode, stdout: '', stderr });
  });

  it('needs root, and says so before anything happens', async () => {
    process.geteuid = () => 1000;
    const stderr = 'tsc: this needs root: containers are made of mounts, networks and cgroups; try sudo\n';
    expect(await call('run', 'debian')).toMatchObject({ exitCode: 125, stderr });
    output.stderr = '';
    expect(await call('ps')).toMatchObject({ exitCode: 1, stderr });
  });

  it('shows versions to everybody', async () => {
    process.geteuid = () => 1000;
    expect((await call('version', '--format', '{{.Client.Version}}')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await call('--version')).stdout).toMatch(/tsc version \d+\.\d+\.\d+\n$/);
  });
});
