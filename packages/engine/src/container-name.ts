import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { hasCode } from '@tsc/sys';

import { readContainerRecord } from './container-record.ts';
import { EngineError } from './errors.ts';
import { containerPaths, containersDir, namesDir } from './layout.ts';
import type { Layout } from './layout.ts';
import { tryLock } from './lock.ts';

const ID_BYTES = 32;
const NAME_PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;
const MIN_NAME_LENGTH = 2;
const GENERATION_ATTEMPTS = 20;

const adjectives =
  'able agile amber ample azure bold brave breezy bright brisk calm candid clear clever cosy crisp deft eager early earnest easy fair fleet fond free fresh gentle glad golden grand happy hardy honest jolly keen kind light lively lucid lucky mellow merry mild modest neat nimble noble open patient plain proud quick quiet ready robust royal serene sharp simple sleek smart snug solid sound spry steady sunny swift tidy true upbeat vivid warm wise witty young zesty'.split(
    ' ',
  );
const surnames =
  'abel agnesi archimedes babbage banach bernoulli bohr boole borg braun cantor cauchy cerf church clarke curie darwin dijkstra dirac engelbart erdos escher euclid euler faraday fermat feynman fourier franklin galileo galois gauss goldberg goodall gray hamilton hamming hawking hedy heisenberg hertz hilbert hoare hopper huffman hypatia kepler khayyam knuth kovalevskaya lamarr lamport leibniz liskov lovelace maxwell mendel milner minsky naur newton noether pascal pasteur perlman planck ramanujan ritchie sagan shannon stallman swartz tesla thompson torvalds turing vaughan volta wiles wirth wright'.split(
    ' ',
  );

export const makeContainerId = (): string => randomBytes(ID_BYTES).toString('hex');

const pick = (words: readonly string[]): string => words[randomInt(words.length)] ?? 'box';

/** @throws EngineError `ENGINE_INVALID_SPEC` */
export function checkName(name: string): void {
  if (name.length >= MIN_NAME_LENGTH && NAME_PATTERN.test(name)) return;
  throw new EngineError(
    'ENGINE_INVALID_SPEC',
    `invalid container name (${/^[ -~]*$/.test(name) ? name : JSON.stringify(name)}): only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, at least two characters`,
  );
}

/** Which container has a name. */
export function nameHolder(layout: Layout, name: string): string | undefined {
  if (!NAME_PATTERN.test(name)) return undefined;
  try {
    return readlinkSync(join(namesDir(layout), name));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function link(layout: Layout, name: string, id: string): boolean {
  try {
    symlinkSync(id, join(namesDir(layout), name));
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Takes a name for a container: making a link succeeds for one only. @throws EngineError `ENGINE_NAME_IN_USE` */
export function takeName(layout: Layout, name: string, id: string): void {
  checkName(name);
  if (link(layout, name, id) || (releaseAbandoned(layout, name) && link(layout, name, id))) return;
  const holder = nameHolder(layout, name) ?? 'unknown';
  throw new EngineError(
    'ENGINE_NAME_IN_USE',
    `conflict: the container name "/${name}" is already in use by container "${holder}"; remove or rename that container to reuse the name`,
  );
}

/** Frees a name whose holder is no container, or has another name: what a kill leaves of making, renaming, removing one. */
function releaseAbandoned(layout: Layout, name: string): boolean {
  const holder = nameHolder(layout, name);
  if (holder === undefined) return true;
  const paths = containerPaths(layout, holder);
  const isTaken = (): boolean => readContainerRecord(paths)?.name === name;
  if (isTaken()) return false;
  using held = tryLock(paths.dir);
  if ((held === undefined && existsSync(paths.dir)) || isTaken()) return false;
  releaseName(layout, name, holder);
  return true;
}

/** Takes a name that nobody has. */
export function takeGeneratedName(layout: Layout, id: string): string {
  for (let attempt = 1; attempt <= GENERATION_ATTEMPTS; attempt += 1) {
    const name = `${pick(adjectives)}_${pick(surnames)}${attempt > 3 ? randomInt(1000) : ''}`;
    if (link(layout, name, id)) return name;
  }
  takeName(layout, id.slice(0, 12), id);
  return id.slice(0, 12);
}

/** All names that lead to a container: more than one only if a rename was killed. */
export const namesOf = (layout: Layout, id: string): readonly string[] =>
  readdirSync(namesDir(layout)).filter((name) => nameHolder(layout, name) === id);

/** Gives a name up, if this container has it. */
export function releaseName(layout: Layout, name: string, id: string): void {
  if (nameHolder(layout, name) === id) rmSync(join(namesDir(layout), name), { force: true });
}

/** The id of the container that a name, an id or the beginning of an id means. @throws EngineError */
export function findContainerId(layout: Layout, reference: string): string {
  const wanted = reference.replace(/^\//, '');
  const byName = nameHolder(layout, wanted);
  if (byName !== undefined) return byName;
  const matches = /^[0-9a-f]{1,64}$/.test(wanted)
    ? readdirSync(containersDir(layout)).filter((id) => id.startsWith(wanted))
    : [];
  const [only, another] = matches;
  if (only === undefined) throw new EngineError('ENGINE_NO_SUCH_CONTAINER', `no such container: ${reference}`);
  if (another !== undefined) {
    throw new EngineError('ENGINE_AMBIGUOUS_CONTAINER', `multiple IDs found with provided prefix: ${reference}`);
  }
  return only;
}
