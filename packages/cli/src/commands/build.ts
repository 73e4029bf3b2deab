import { readFileSync, writeFileSync } from 'node:fs';

import type { BuildOptions, EngineRunStepOptions, PullBase } from '@tsc/builder';
import { pullImage } from '@tsc/image';
import type { ImageStore } from '@tsc/image';

import { followBuild, quietly } from '../build/progress.ts';
import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, failed, notSupported } from '../errors.ts';
import { list, text, toggle, value } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { openView } from '../progress/view.ts';
import { abortOnSignal } from '../terminal/signals.ts';
import { parseEnv, parseLabels } from '../words/assignment.ts';
import { parseNetwork } from '../words/network.ts';

const NOT_YET = [
  'add-host', 'annotation', 'attest', 'build-context', 'builder', 'cache-from', 'cache-to', 'call',
  'cgroup-parent', 'check', 'compress', 'cpu-period', 'cpu-quota', 'cpu-shares', 'c', 'cpuset-cpus', 'cpuset-mems',
  'disable-content-trust', 'force-rm', 'isolation', 'load', 'memory', 'm', 'memory-swap', 'metadata-file',
  'no-cache-filter', 'output', 'o', 'provenance', 'push', 'rm', 'sbom', 'secret', 'security-opt',
  'shm-size', 'squash', 'ssh', 'ulimit',
]; // prettier-ignore

export const command: Command = defineCommand({
  usage: '[OPTIONS] PATH | -',
  summary: 'Build an image from a Dockerfile',
  aliases: ['tsc image build', 'tsc build'],
  flags: {
    allow: list('Allow what a Dockerfile may not ask for otherwise (network.host)', {}, parseAllow),
    'build-arg': list('Set build-time variables'),
    file: text('Name of the Dockerfile (default: "PATH/Dockerfile")', { short: 'f' }),
    iidfile: text('Write the image ID to the file'),
    label: list('Set metadata for an image'),
    network: value('Set the networking mode for the RUN instructions during build', parseNetwork, {
      shownDefault: '"default"',
    }),
    'no-cache': toggle('Do not use cache when building the image (there is none so far)'),
    platform: text('Set target platform for build'),
    progress: value('Set type of progress output ("auto", "plain", "quiet")', parseProgress, {
      shownDefault: '"auto"',
    }),
    pull: toggle('Always attempt to pull all referenced images'),
    quiet: toggle('Suppress the build output and print image ID on success', { short: 'q' }),
    tag: list('Name and optionally a tag (format: "name:tag")', { short: 't' }),
    target: text('Set the target build stage to build'),
  },
  notYet: NOT_YET,
  least: 1,
  most: 1,
  run: async ({ values, positional: [path = ''], surroundings }) => {
    const created = creationTime(process.env['SOURCE_DATE_EPOCH']);
    const sources = findSources(path, values.file);
    const { platform, target, tag: tags } = values;
    const options = { ...sources, platform, target, tags, created, ...parseWords(values['build-arg'], values.label) };
    const quiet = values.quiet || values.progress === 'quiet';
    const { build, engineRunStep } = await import('@tsc/builder');
    return await withEngine(surroundings, async (engine) => {
      const runStep = engineRunStep(engine, runStepOptions(values.network, values.allow));
      using abort = abortOnSignal();
      try {
        const means = { store: engine.images, pull: pullBase(engine.images), runStep, signal: abort.signal };
        const events = build({ ...options, ...means, pullPolicy: values.pull ? 'always' : 'missing' });
        const bars = values.progress !== 'plain';
        const shown = { openView: bars ? (prefix: string) => openView(process.stderr, prefix) : undefined };
        const imageId = await (quiet ? quietly(events) : followBuild(events, process.stderr, shown));
        if (values.iidfile !== undefined) writeFileSync(values.iidfile, imageId);
        if (quiet) printLine(imageId);
        return 0;
      } catch (error) {
        if (abort.exitCode !== undefined) return abort.exitCode;
        throw error;
      }
    });
  },
});

function parseAllow(word: string): 'network.host' {
  if (word === 'network.host') return word;
  throw notSupported(`allowing "${word}" (there is network.host)`);
}

function parseProgress(word: string): 'auto' | 'plain' | 'quiet' {
  if (word === 'auto' || word === 'plain' || word === 'quiet') return word;
  throw notSupported(`the progress output "${word}" (there are auto, plain and quiet)`);
}

/** A client is made when there is something to pull, and not before. */
const pullBase = (images: ImageStore): PullBase =>
  async function* (reference, options) {
    const { openRegistries } = await import('../registry/client.ts');
    await using client = await openRegistries();
    yield* pullImage(images, client, reference, options);
  };

/** Whoever asks for the host's network for the whole build has allowed it. */
const runStepOptions = (
  network: EngineRunStepOptions['network'],
  allow: readonly 'network.host'[],
): EngineRunStepOptions => ({ network, allow });

/** Now, unless the environment says when, as tools that build the same thing twice agree to. */
function creationTime(epoch: string | undefined): Date {
  if (epoch === undefined || epoch === '') return new Date();
  if (!/^\d{1,11}$/.test(epoch)) throw badValue(`SOURCE_DATE_EPOCH is a number of seconds, not "${epoch}"`);
  return new Date(Number(epoch) * 1000);
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

function parseWords(
  buildArgs: readonly string[],
  labels: readonly string[],
): Required<Pick<BuildOptions, 'buildArgs' | 'labels'>> {
  // An argument that is named and not set here keeps its default, as if it hadn't been named.
  const set = buildArgs.map((word) => parseEnv(word, process.env)).filter((word) => word.includes('='));
  return { buildArgs: parseLabels(set), labels: parseLabels(labels) };
}
