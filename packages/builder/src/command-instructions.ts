import type {
  CommandInstruction,
  CommandLine,
  HealthcheckInstruction,
  InstructionBase,
  RunInstruction,
  RunMount,
  ShellInstruction,
} from './ast.ts';
import type { EscapeCharacter } from './directives.ts';
import { parseDurationNs } from './durations.ts';
import { parseFlags } from './flags.ts';
import type { Flags } from './flags.ts';
import { splitKeyword } from './logical-lines.ts';
import type { LogicalLine } from './logical-lines.ts';
import { errorAt, wordAt } from './source.ts';
import { suggestion } from './spelling.ts';
import { splitCommas } from './words.ts';

/**
 * The strings of a JSON array, or undefined: what is not valid JSON is silently a shell command, as in Docker.
 *
 * @throws {@link BuilderError} `BUILDER_SYNTAX`: a JSON array with something else than strings
 */
export function parseJsonStrings(line: LogicalLine, text: string): readonly string[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const strings: string[] = [];
  for (const item of value as readonly unknown[]) {
    if (typeof item !== 'string') {
      throw errorAt(line, 'BUILDER_SYNTAX', `exec form takes strings only, not ${JSON.stringify(item)}`);
    }
    strings.push(item);
  }
  return strings;
}

const parseCommandLine = (line: LogicalLine, text: string): CommandLine => {
  const argv = parseJsonStrings(line, text);
  return argv === undefined ? { form: 'shell', script: text, heredocs: line.heredocs } : { form: 'exec', argv };
};

const MOUNT_OPTIONS: Readonly<Record<RunMount['type'], readonly string[]>> = {
  bind: ['target', 'source', 'from', 'rw'],
  cache: ['id', 'target', 'ro', 'sharing', 'from', 'source', 'mode', 'uid', 'gid'],
  secret: ['id', 'target', 'env', 'required', 'mode', 'uid', 'gid'],
  ssh: ['id', 'target', 'required', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
};

const OPTION_ALIASES: ReadonlyMap<string, string> = new Map([
  ['dst', 'target'],
  ['destination', 'target'],
  ['src', 'source'],
  ['readonly', 'ro'],
  ['readwrite', 'rw'],
]);

const isMountType = (type: string): type is RunMount['type'] => Object.hasOwn(MOUNT_OPTIONS, type);

function parseMount(line: LogicalLine, text: string): RunMount {
  const options = new Map<string, string>();
  for (const field of splitCommas(text)) {
    const equals = field.indexOf('=');
    const written = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase();
    const name = OPTION_ALIASES.get(written) ?? written;
    options.set(name, equals < 0 ? 'true' : field.slice(equals + 1));
  }
  const type = options.get('type') ?? 'bind';
  options.delete('type');
  if (!isMountType(type)) {
    const hint = suggestion(type, Object.keys(MOUNT_OPTIONS));
    throw errorAt(wordAt(line, type), 'BUILDER_SYNTAX', `--mount has no type ${type}${hint}`);
  }
  checkMount(line, { type, options });
  return { type, options };
}

function checkMount(line: LogicalLine, { type, options }: RunMount): void {
  const known =
    type === 'bind' ? [...MOUNT_OPTIONS.bind, 'ro'] : MOUNT_OPTIONS[type].concat(type === 'cache' ? 'rw' : []);
  for (const name of options.keys()) {
    if (!known.includes(name)) {
      const hint = suggestion(name, known);
      throw errorAt(wordAt(line, name), 'BUILDER_SYNTAX', `--mount=type=${type} has no option ${name}${hint}`);
    }
  }
  if ((type === 'bind' || type === 'cache' || type === 'tmpfs') && (options.get('target') ?? '') === '') {
    throw errorAt(wordAt(line, '--mount'), 'BUILDER_SYNTAX', `--mount=type=${type} needs target=…`);
  }
  const sharing = options.get('sharing');
  if (sharing !== undefined && !['shared', 'private', 'locked'].includes(sharing)) {
    throw errorAt(wordAt(line, sharing), 'BUILDER_SYNTAX', `sharing is shared, private or locked, not ${sharing}`);
  }
}

function oneOf<T extends string>(
  line: LogicalLine,
  flag: { readonly name: string; readonly value: string | undefined },
  allowed: readonly [T, ...T[]],
): T {
  if (flag.value === undefined) return allowed[0];
  const found = allowed.find((word) => word === flag.value);
  if (found !== undefined) return found;
  const what = `--${flag.name} is one of ${allowed.join(', ')}, not ${flag.value}`;
  throw errorAt(wordAt(line, flag.value), 'BUILDER_SYNTAX', what);
}

export function parseRun(line: LogicalLine, base: InstructionBase, escape: EscapeCharacter): RunInstruction {
  const flags = parseFlags(line, { mount: 'list', network: 'string', security: 'string', device: 'list' }, escape);
  const command = parseCommandLine(line, flags.rest);
  const empty = command.form === 'exec' ? command.argv.length === 0 : command.script === '';
  if (empty) throw errorAt(line, 'BUILDER_SYNTAX', 'RUN needs a command');
  return {
    ...base,
    type: 'run',
    command,
    mounts: flags.list('mount').map((text) => parseMount(line, text)),
    network: oneOf(line, { name: 'network', value: flags.string('network') }, ['default', 'none', 'host']),
    security: oneOf(line, { name: 'security', value: flags.string('security') }, ['sandbox', 'insecure']),
    devices: flags.list('device'),
  };
}

export function parseCommand(
  line: LogicalLine,
  base: InstructionBase,
  type: CommandInstruction['type'],
): CommandInstruction {
  return { ...base, type, command: parseCommandLine(line, line.rest) };
}

export function parseShell(line: LogicalLine, base: InstructionBase): ShellInstruction {
  const argv = parseJsonStrings(line, line.rest);
  if (argv !== undefined && argv.length > 0) return { ...base, type: 'shell', argv };
  throw errorAt(wordAt(line, line.rest), 'BUILDER_SYNTAX', 'SHELL takes a JSON array: SHELL ["/bin/sh", "-c"]');
}

const HEALTH_FLAGS = {
  interval: 'string',
  timeout: 'string',
  'start-period': 'string',
  'start-interval': 'string',
  retries: 'string',
} as const;

export function parseHealthcheck(
  line: LogicalLine,
  base: InstructionBase,
  escape: EscapeCharacter,
): HealthcheckInstruction {
  const flags = parseFlags(line, HEALTH_FLAGS, escape);
  const [kind, rest] = splitKeyword(flags.rest);
  const settings = {
    intervalNs: healthDuration(line, flags, 'interval'),
    timeoutNs: healthDuration(line, flags, 'timeout'),
    startPeriodNs: healthDuration(line, flags, 'start-period'),
    startIntervalNs: healthDuration(line, flags, 'start-interval'),
    retries: healthRetries(line, flags.string('retries')),
  };
  if (kind.toUpperCase() === 'NONE') {
    if (rest === '') return { ...base, type: 'healthcheck', command: undefined, ...settings };
    throw errorAt(wordAt(line, rest), 'BUILDER_SYNTAX', 'HEALTHCHECK NONE takes no arguments');
  }
  if (kind.toUpperCase() !== 'CMD') {
    throw errorAt(
      wordAt(line, kind),
      'BUILDER_SYNTAX',
      `HEALTHCHECK takes CMD or NONE, not ${kind === '' ? 'nothing' : kind}`,
    );
  }
  if (rest === '') throw errorAt(wordAt(line, kind), 'BUILDER_SYNTAX', 'HEALTHCHECK CMD needs a command');
  return { ...base, type: 'healthcheck', command: parseCommandLine(line, rest), ...settings };
}

const MINIMUM_HEALTH_NS = 1_000_000;

function healthDuration(line: LogicalLine, flags: Flags, name: string): number | undefined {
  const text = flags.string(name);
  if (text === undefined) return undefined;
  const duration = parseDurationNs(text);
  if (duration === undefined) throw errorAt(wordAt(line, text), 'BUILDER_SYNTAX', `--${name} is no duration: ${text}`);
  if (duration !== 0 && duration < MINIMUM_HEALTH_NS) {
    throw errorAt(wordAt(line, text), 'BUILDER_SYNTAX', `--${name} can't be below 1ms: ${text}`);
  }
  return duration;
}

function healthRetries(line: LogicalLine, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const retries = Number(text);
  if (text.trim() !== '' && Number.isSafeInteger(retries) && retries >= 0) return retries;
  throw errorAt(wordAt(line, text), 'BUILDER_SYNTAX', `--retries is a count, not ${text}`);
}
