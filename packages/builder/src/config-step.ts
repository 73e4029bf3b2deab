import { posix } from 'node:path';
import type { ContainerDefaults, Empty, Healthcheck } from '@tsc/image';
import type { ArgInstruction, CommandLine, HealthcheckInstruction, StageInstruction, ValueInstruction } from './ast.ts';
import { resolveArgs } from './build-args.ts';
import type { BuildArgs } from './build-args.ts';
import type { EscapeCharacter } from './directives.ts';
import { isBuilderError } from './errors.ts';
import { expandWord, expandWords } from './expansion.ts';
import { heredocText, parseHeredocStart } from './heredoc.ts';
import type { Heredoc } from './heredoc.ts';
import type { ExpansionScope } from './expansion.ts';
import { errorAt, wordAt } from './source.ts';

/** What the instructions of a stage have amounted to, files aside. */
export interface StageSettings {
  readonly config: ContainerDefaults;
  readonly author: string | undefined;
  /** The ARGs in scope. ENV hides one of the same name. */
  readonly args: ReadonlyMap<string, string>;
  /** Whether this stage has set CMD: otherwise ENTRYPOINT takes the base's away. */
  readonly hasCmd: boolean;
}

export interface SettingsScope {
  readonly args: BuildArgs;
  readonly escape: EscapeCharacter;
}

/** What a setting instruction changes, and how the history words it. */
export interface SettingStep {
  readonly settings: StageSettings;
  readonly createdBy: string;
}

const DEFAULT_SHELL = ['/bin/sh', '-c'];

export const shellOf = (config: ContainerDefaults): readonly string[] => config.Shell ?? DEFAULT_SHELL;
export const workingDirOf = (config: ContainerDefaults): string => config.WorkingDir ?? '/';

/** What variables mean at this point of a stage. */
export const scopeOf = ({ config, args }: StageSettings, escape: EscapeCharacter): ExpansionScope => ({
  variables: new Map([...args, ...environmentOf(config)]),
  escape,
});

/** The image's ENV, as a map. */
export const environmentOf = (config: ContainerDefaults): ReadonlyMap<string, string> =>
  new Map(
    (config.Env ?? []).map((line) => {
      const equals = line.indexOf('=');
      return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );

type SettingInstruction = Exclude<StageInstruction, { readonly type: 'run' | 'copy' | 'add' }>;

export const isSetting = (instruction: StageInstruction): instruction is SettingInstruction =>
  instruction.type !== 'run' && instruction.type !== 'copy' && instruction.type !== 'add';

/**
 * Carries out an instruction that changes settings only. Pure.
 *
 * @throws {@link BuilderError} `BUILDER_EXPANSION`, `BUILDER_LIMIT`, `BUILDER_SYNTAX`: a value that expands to nonsense
 */
export function applySetting(
  settings: StageSettings,
  instruction: SettingInstruction,
  scope: SettingsScope,
): SettingStep {
  try {
    return apply(settings, instruction, scope);
  } catch (error) {
    if (isBuilderError(error) && error.line === undefined) throw errorAt(instruction, error.code, error.message);
    throw error;
  }
}

function apply(settings: StageSettings, instruction: SettingInstruction, { args, escape }: SettingsScope): SettingStep {
  const scope = scopeOf(settings, escape);
  const expand = (word: string): string => expandWord(word, scope);
  const { config } = settings;
  const withConfig = (patch: ContainerDefaults, createdBy: string): SettingStep => ({
    settings: { ...settings, config: { ...config, ...patch } },
    createdBy,
  });
  switch (instruction.type) {
    case 'arg':
      return applyArg(settings, instruction, { args, escape });
    case 'env': {
      const pairs = instruction.pairs.map(({ key, value }) => [expand(key), expand(value)] as const);
      const env = new Map([...environmentOf(config), ...pairs]);
      return withConfig({ Env: [...env].map(([key, value]) => `${key}=${value}`) }, `ENV ${formatPairs(pairs)}`);
    }
    case 'label': {
      const pairs = instruction.pairs.map(({ key, value }) => [expand(key), expand(value)] as const);
      return withConfig(
        { Labels: record([...Object.entries(config.Labels ?? {}), ...pairs]) },
        `LABEL ${formatPairs(pairs)}`,
      );
    }
    case 'workdir':
    case 'user':
    case 'stopsignal':
    case 'maintainer':
      return applyValue(settings, instruction, expand);
    case 'expose': {
      const ports = instruction.ports
        .flatMap((word) => expandWords(word, scope))
        .flatMap((port) => parsePort(instruction, port));
      const exposed = { ...config.ExposedPorts, ...record<Empty>(ports.map((port) => [port, {}])) };
      return withConfig({ ExposedPorts: exposed }, `EXPOSE ${ports.join(' ')}`);
    }
    case 'volume': {
      const paths = instruction.paths.map(expand);
      const volumes = record<Empty>([
        ...Object.entries(config.Volumes ?? {}),
        ...paths.map((path) => [path, {}] as const),
      ]);
      return withConfig({ Volumes: volumes }, `VOLUME ${paths.join(' ')}`);
    }
    case 'shell':
      return withConfig({ Shell: instruction.argv }, `SHELL ${JSON.stringify(instruction.argv)}`);
    case 'cmd': {
      const step = withConfig({ Cmd: argvOf(instruction.command, config) }, instruction.text);
      return { ...step, settings: { ...step.settings, hasCmd: true } };
    }
    case 'entrypoint': {
      const cmd = settings.hasCmd ? config.Cmd : undefined;
      return withConfig({ Entrypoint: argvOf(instruction.command, config), Cmd: cmd }, instruction.text);
    }
    case 'healthcheck':
      return withConfig({ Healthcheck: healthcheckOf(instruction) }, instruction.text);
    case 'onbuild':
      return withConfig({ OnBuild: [...(config.OnBuild ?? []), instruction.expression] }, instruction.text);
  }
}

function applyArg(settings: StageSettings, instruction: ArgInstruction, { args, escape }: SettingsScope): SettingStep {
  const resolved = resolveArgs(instruction, args, { variables: scopeOf(settings, escape).variables, escape });
  const set = [...resolved].filter((pair): pair is [string, string] => pair[1] !== undefined);
  return { settings: { ...settings, args: new Map([...settings.args, ...set]) }, createdBy: instruction.text };
}

function applyValue(
  settings: StageSettings,
  { type, value, text }: ValueInstruction,
  expand: (word: string) => string,
): SettingStep {
  if (type === 'maintainer') return { settings: { ...settings, author: value }, createdBy: text };
  const { config } = settings;
  const expanded = type === 'workdir' ? posix.resolve('/', workingDirOf(config), expand(value)) : expand(value);
  const member = ({ workdir: 'WorkingDir', user: 'User', stopsignal: 'StopSignal' } as const)[type];
  return {
    settings: { ...settings, config: { ...config, [member]: expanded } },
    createdBy: `${type.toUpperCase()} ${expanded}`,
  };
}

/** A command as a process's arguments: shell form becomes the shell's. */
export const argvOf = (command: CommandLine, config: ContainerDefaults): readonly string[] =>
  command.form === 'exec' ? command.argv : [...shellOf(config), scriptOf(command)];

/** The text for the shell. A here-document that is all of RUN is itself the script. */
function scriptOf(command: Extract<CommandLine, { readonly form: 'shell' }>): string {
  const { script, heredocs } = command;
  const whole = wholeHeredoc(command);
  if (whole !== undefined) return heredocText(whole);
  return [script, ...heredocs.map(({ content, name }) => `${content}${name}`)].join('\n');
}

/** The here-document of `RUN <<EOF`, where nothing else is on the line. */
export function wholeHeredoc(command: CommandLine): Heredoc | undefined {
  if (command.form === 'exec' || command.heredocs.length !== 1) return undefined;
  return parseHeredocStart(command.script.trim()) === undefined ? undefined : command.heredocs[0];
}

function healthcheckOf(instruction: HealthcheckInstruction): Healthcheck {
  const { command } = instruction;
  if (command === undefined) return { Test: ['NONE'] };
  return {
    Test: command.form === 'exec' ? ['CMD', ...command.argv] : ['CMD-SHELL', command.script],
    Interval: instruction.intervalNs,
    Timeout: instruction.timeoutNs,
    StartPeriod: instruction.startPeriodNs,
    StartInterval: instruction.startIntervalNs,
    Retries: instruction.retries,
  };
}

const MAX_PORT = 65_535;

/** `80`, `80/udp`, `8000-8010`: each port with its protocol. */
function parsePort(instruction: StageInstruction, text: string): readonly string[] {
  const [range = '', protocol = 'tcp', ...more] = text.toLowerCase().split('/');
  const [low = '', high = low, ...rest] = range.split('-');
  const [first, last] = [low, high].map((digits) => (/^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN));
  const known = protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp';
  if (
    !known ||
    more.length + rest.length > 0 ||
    first === undefined ||
    last === undefined ||
    !(first <= last && last <= MAX_PORT)
  ) {
    throw errorAt(wordAt(instruction, text), 'BUILDER_SYNTAX', `${text} is no port: write 80, 80/udp or 8000-8010`);
  }
  return Array.from({ length: last - first + 1 }, (_, index) => `${String(first + index)}/${protocol}`);
}

/** An object with own properties only, whatever they are called: `__proto__` is a label like any other. */
const record = <T>(pairs: Iterable<readonly [string, T]>): Readonly<Record<string, T>> => Object.fromEntries(pairs);

const formatPairs = (pairs: readonly (readonly [string, string])[]): string =>
  pairs.map(([key, value]) => `${key}=${value}`).join(' ');
