import { posix } from 'node:path';

import { compact } from '../document.ts';
import { ImageError, quote } from '../errors.ts';
import type { ContainerDefaults, Empty, Healthcheck } from '../image-config.ts';

const invalid = (change: string, why: string): ImageError =>
  new ImageError('CHANGE_INVALID', `invalid change ${quote(change)}: ${why}`, { path: change });

type Apply = (config: ContainerDefaults, rest: string, change: string) => ContainerDefaults;

/** `["a", "b"]`, or `undefined` for anything else. */
const jsonWords = (text: string): readonly string[] | undefined => {
  if (!text.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
  } catch {
    // As in a Dockerfile: what is not JSON is a line for the shell.
    return undefined;
  }
};

const command = (config: ContainerDefaults, rest: string): readonly string[] =>
  jsonWords(rest) ?? [...(config.Shell ?? ['/bin/sh', '-c']), rest];

/** Splits at spaces that are neither quoted nor escaped, and takes quotes and backslashes away, in one pass. */
const splitWords = (text: string, change: string): readonly string[] => {
  const words: string[] = [];
  let word: string | undefined;
  let quoted = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === '\\' && quoted !== "'" && at + 1 < text.length) {
      at += 1;
      const next = text[at] as string;
      word = (word ?? '') + (quoted === '"' && !'"\\$'.includes(next) ? `\\${next}` : next);
    } else if (quoted === '' ? char === '"' || char === "'" : char === quoted) {
      quoted = quoted === '' ? char : '';
      word ??= '';
    } else if (quoted === '' && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + char;
  }
  if (quoted !== '') throw invalid(change, 'a quote is not closed');
  if (word !== undefined) words.push(word);
  return words;
};

/** `KEY=value KEY2="more words"`, or the old form `KEY all the rest`. */
const pairs = (rest: string, change: string): readonly (readonly [string, string])[] => {
  const old = /^([^\s=]+)\s+(.*)$/.exec(rest);
  if (old !== null)
    return [[old[1] as string, splitWords(`"${(old[2] as string).replaceAll('"', '\\"')}"`, change).join(' ')]];
  return splitWords(rest, change).map((word) => {
    const equals = word.indexOf('=');
    if (equals < 1) throw invalid(change, `${quote(word)} is no KEY=value`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
};

/** Sets variables in place, new ones at the end. */
const withVariables = (env: readonly string[], set: readonly (readonly [string, string])[]): readonly string[] => {
  const variables = new Map(env.map((line) => [line.split('=', 1)[0] ?? line, line]));
  for (const [key, value] of set) variables.set(key, `${key}=${value}`);
  return [...variables.values()];
};

const ports = (word: string, change: string): readonly string[] => {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || first < 1 || last > 65_535 || last < first) throw invalid(change, `${quote(word)} is no port`);
  return Array.from(
    { length: last - first + 1 },
    (_, i) => `${String(first + i)}/${(match[3] ?? 'tcp').toLowerCase()}`,
  );
};

const keys = (names: readonly string[]): Readonly<Record<string, Empty>> =>
  Object.fromEntries(names.map((name) => [name, {}]));

const UNIT_NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 6e10, h: 3.6e12 };

/** Go's durations: `1m30s`. */
const durationNs = (text: string, change: string): number => {
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|m|h))+$/.test(text))
    throw invalid(change, `${quote(text)} is no duration such as 30s`);
  const parts = text.matchAll(/([0-9.]+)(ns|us|ms|s|m|h)/g);
  return Math.round(
    [...parts].reduce((sum, [, value, unit = 's']) => sum + Number(value) * (UNIT_NS[unit] as number), 0),
  );
};

const HEALTH_FLAGS: Readonly<Record<string, 'Interval' | 'Timeout' | 'StartPeriod' | 'StartInterval'>> = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
};

const healthcheck = (rest: string, change: string): Healthcheck => {
  if (/^none$/i.test(rest)) return { Test: ['NONE'] };
  let left = rest;
  const check: Record<string, unknown> = {};
  for (let flag = /^--([a-z-]+)=(\S+)\s+/.exec(left); flag !== null; flag = /^--([a-z-]+)=(\S+)\s+/.exec(left)) {
    const [whole, name = '', value = ''] = flag;
    const member = Object.hasOwn(HEALTH_FLAGS, name) ? HEALTH_FLAGS[name] : undefined;
    if (member !== undefined) check[member] = durationNs(value, change);
    else if (name === 'retries' && /^[1-9][0-9]{0,5}$/.test(value)) check['Retries'] = Number(value);
    else throw invalid(change, `${quote(`--${name}=${value}`)} is no option of HEALTHCHECK`);
    left = left.slice(whole.length);
  }
  const body = /^CMD\s+(.+)$/is.exec(left)?.[1];
  if (body === undefined) throw invalid(change, 'want NONE, or CMD and a command');
  const words = jsonWords(body);
  return { ...check, Test: words === undefined ? ['CMD-SHELL', body] : ['CMD', ...words] };
};

const INSTRUCTIONS: Readonly<Record<string, Apply>> = {
  CMD: (config, rest) => ({ ...config, Cmd: command(config, rest) }),
  ENTRYPOINT: (config, rest) => ({ ...config, Entrypoint: command(config, rest) }),
  ENV: (config, rest, change) => ({ ...config, Env: withVariables(config.Env ?? [], pairs(rest, change)) }),
  EXPOSE: (config, rest, change) => ({
    ...config,
    ExposedPorts: { ...config.ExposedPorts, ...keys(splitWords(rest, change).flatMap((word) => ports(word, change))) },
  }),
  HEALTHCHECK: (config, rest, change) => ({ ...config, Healthcheck: healthcheck(rest, change) }),
  LABEL: (config, rest, change) => ({
    ...config,
    Labels: { ...config.Labels, ...Object.fromEntries(pairs(rest, change)) },
  }),
  ONBUILD: (config, rest) => ({ ...config, OnBuild: [...(config.OnBuild ?? []), rest] }),
  SHELL: (config, rest, change) => {
    const words = jsonWords(rest);
    if (words === undefined || words.length === 0) throw invalid(change, 'want a JSON list of words');
    return { ...config, Shell: words };
  },
  STOPSIGNAL: (config, rest) => ({ ...config, StopSignal: rest }),
  USER: (config, rest) => ({ ...config, User: rest }),
  VOLUME: (config, rest, change) => ({
    ...config,
    Volumes: { ...config.Volumes, ...keys(jsonWords(rest) ?? splitWords(rest, change)) },
  }),
  WORKDIR: (config, rest) => ({ ...config, WorkingDir: posix.resolve('/', config.WorkingDir ?? '/', rest) }),
};

/**
 * Applies lines of a Dockerfile to a config, as `docker import --change` and `docker commit --change` do. Known are CMD,
 * ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR. An ENTRYPOINT
 * takes an earlier Cmd away, unless a CMD is among the changes.
 *
 * @throws {@link ImageError} `CHANGE_INVALID`
 */
export const applyChanges = (config: ContainerDefaults, changes: readonly string[]): ContainerDefaults => {
  const lines = changes.map((change) => {
    const [, word = '', rest = ''] = /^\s*([A-Za-z]+)(?:\s+([^]*))?$/.exec(change) ?? [];
    const name = word.toUpperCase();
    if (!Object.hasOwn(INSTRUCTIONS, name))
      throw invalid(change, 'want one of ' + Object.keys(INSTRUCTIONS).join(', '));
    if (rest.trim() === '') throw invalid(change, `${name} needs an argument`);
    return { name, rest: rest.trim(), change };
  });
  const names = new Set(lines.map(({ name }) => name));
  const start = names.has('ENTRYPOINT') && !names.has('CMD') ? { ...config, Cmd: undefined } : config;
  return compact(
    lines.reduce<ContainerDefaults>(
      (now, { name, rest, change }) => (INSTRUCTIONS[name] as Apply)(now, rest, change),
      start,
    ),
  );
};
