import { readFileSync, writeFileSync } from 'node:fs';

import type { BuildEvent, BuildOptions } from '@tsc/builder';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, failed, notSupported } from '../errors.ts';
import { oneLine } from '../failure.ts';
import { list, text, toggle } from '../flags/flag.ts';
import { note, printLine } from '../output.ts';
import { parseEnv, parseLabels } from '../words/assignment.ts';

const NOT_YET = [
  'add-host', 'allow', 'annotation', 'attest', 'build-context', 'builder', 'cache-from', 'cache-to', 'call',
  'cgroup-parent', 'check', 'compress', 'cpu-period', 'cpu-quota', 'cpu-shares', 'c', 'cpuset-cpus', 'cpuset-mems',
  'disable-content-trust', 'force-rm', 'isolation', 'load', 'memory', 'm', 'memory-swap', 'metadata-file', 'network',
  'no-cache-filter', 'output', 'o', 'progress', 'provenance', 'pull', 'push', 'rm', 'sbom', 'secret', 'security-opt',
  'shm-size', 'squash', 'ssh', 'ulimit',
]; // prettier-ignore

export const command: Command = defineCommand({
  usage: '[OPTIONS] PATH | -',
  summary: 'Build an image from a Dockerfile',
  aliases: ['tsc image build', 'tsc build'],
  flags: {
    'build-arg': list('Set build-time variables'),
    file: text('Name of the Dockerfile (default: "PATH/Dockerfile")', { short: 'f' }),
    iidfile: text('Write the image ID to the file'),
    label: list('Set metadata for an image'),
    'no-cache': toggle('Do not use cache when building the image (there is none so far)'),
    platform: text('Set target platform for build'),
    quiet: toggle('Suppress the build output and print image ID on success', { short: 'q' }),
    tag: list('Name and optionally a tag (format: "name:tag")', { short: 't' }),
    target: text('Set the target build stage to build'),
  },
  notYet: NOT_YET,
  least: 1,
  most: 1,
  run: async ({ values, positional: [path = ''], surroundings }) => {
    const sources = findSources(path, values.file);
    const buildArgs = parseBuildArgs(values['build-arg']);
    const labels = parseLabels(values.label);
    const { build } = await import('@tsc/builder');
    return await withEngine(surroundings, async (engine) => {
      const { platform, target, tag: tags, quiet } = values;
      const options = { ...sources, buildArgs, labels, platform, target, tags, store: engine.images };
      const imageId = await follow(build(options), quiet);
      if (values.iidfile !== undefined) writeFileSync(values.iidfile, imageId);
      if (quiet) printLine(imageId);
      return 0;
    });
  },
});

/** Prints what happens, and returns the id of the image. */
async function follow(events: AsyncIterable<BuildEvent>, quiet: boolean): Promise<string> {
  const say = quiet ? (): void => undefined : note;
  let imageId: string | undefined;
  for await (const event of events) {
    if (event.type === 'planned') for (const warning of event.warnings) say(`WARNING: ${oneLine(warning)}`);
    if (event.type === 'step-started') {
      say(` => [${event.stage === '' ? '' : `${event.stage} `}${event.step}/${event.steps}] ${oneLine(event.text)}`);
    }
    if (event.type === 'step-output' && !quiet) process.stderr.write(event.bytes);
    if (event.type === 'built') {
      imageId = event.imageId;
      say(` => writing image ${imageId}`);
      for (const name of event.names) say(` => naming to ${name}`);
    }
  }
  if (imageId === undefined) throw failed('the build ended without an image');
  return imageId;
}

type Sources = Pick<BuildOptions, 'contextDir' | 'dockerfile' | 'dockerfileText'>;

/** `-` as the path is a Dockerfile without a context, `-f -` a Dockerfile on standard input beside one. */
function findSources(path: string, file: string | undefined): Sources {
  if (/^([a-z]+:\/\/|git@|github\.com\/)/.test(path)) throw notSupported('a context that is fetched from elsewhere');
  if (path === '-' && file !== undefined) throw badValue('invalid argument: a Dockerfile on stdin has no --file');
  if (path === '-') return { dockerfileText: readStandardInput() };
  if (file === '-') return { contextDir: path, dockerfileText: readStandardInput() };
  // A path of -f starts from here, and not from the context, as in Docker.
  return {
    contextDir: path,
    dockerfile: file === undefined || file.startsWith('/') ? file : `${process.cwd()}/${file}`,
  };
}

function readStandardInput(): string {
  if (process.stdin.isTTY) throw failed('a Dockerfile is expected on stdin, and stdin is a terminal');
  const text = readFileSync(0, 'utf8');
  if (text.includes('\0')) throw notSupported('a context as a tar archive on stdin');
  return text;
}

function parseBuildArgs(words: readonly string[]): Readonly<Record<string, string>> {
  // An argument that is named and not set here keeps its default, as if it hadn't been named.
  const set = words.map((word) => parseEnv(word, process.env)).filter((word) => word.includes('='));
  return parseLabels(set);
}
