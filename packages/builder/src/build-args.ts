import type { ArgInstruction } from './ast.ts';
import type { EscapeCharacter } from './directives.ts';
import { expandWord } from './expansion.ts';
import { formatPlatform } from './platform.ts';
import type { BuildPlatform } from './platform.ts';

/** The values that ARG instructions can take up. */
export interface BuildArgs {
  /** `--build-arg` of the caller: they win. */
  readonly given: ReadonlyMap<string, string>;
  /** ARG before the first FROM, and the predefined platform arguments. */
  readonly global: ReadonlyMap<string, string>;
}

/** Proxy arguments need no ARG, and leave no trace in the history. */
export const PROXY_ARGS: readonly string[] = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'FTP_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
].flatMap((name) => [name, name.toLowerCase()]);

/** TARGETPLATFORM and its relatives. */
export const platformArgs = (target: BuildPlatform, build: BuildPlatform): ReadonlyMap<string, string> =>
  new Map([...platformArgsOf('TARGET', target), ...platformArgsOf('BUILD', build)]);

const platformArgsOf = (prefix: string, platform: BuildPlatform): readonly (readonly [string, string])[] => [
  [`${prefix}PLATFORM`, formatPlatform(platform)],
  [`${prefix}OS`, platform.os],
  [`${prefix}ARCH`, platform.architecture],
  [`${prefix}VARIANT`, platform.variant ?? ''],
];

/**
 * The value of each name that an ARG instruction declares, in order; undefined where it stays unset. A default sees the
 * variables before it, and so do the instruction's own later defaults.
 */
export function resolveArgs(
  instruction: ArgInstruction,
  { given, global }: BuildArgs,
  scope: { readonly variables: ReadonlyMap<string, string>; readonly escape: EscapeCharacter },
): ReadonlyMap<string, string | undefined> {
  const variables = new Map(scope.variables);
  const resolved = new Map<string, string | undefined>();
  for (const arg of instruction.args) {
    const name = expandWord(arg.name, { variables, escape: scope.escape });
    const value =
      given.get(name) ??
      (arg.defaultValue === undefined
        ? global.get(name)
        : expandWord(arg.defaultValue, { variables, escape: scope.escape }));
    resolved.set(name, value);
    if (value !== undefined) variables.set(name, value);
  }
  return resolved;
}

/** What the ARG instructions before the first FROM and the predefined arguments amount to. */
export function resolveGlobalArgs(
  instructions: readonly ArgInstruction[],
  {
    given,
    predefined,
    escape,
  }: {
    readonly given: ReadonlyMap<string, string>;
    readonly predefined: ReadonlyMap<string, string>;
    readonly escape: EscapeCharacter;
  },
): ReadonlyMap<string, string> {
  const variables = new Map(predefined);
  for (const name of predefined.keys()) {
    const value = given.get(name);
    if (value !== undefined) variables.set(name, value);
  }
  for (const instruction of instructions) {
    for (const [name, value] of resolveArgs(instruction, { given, global: predefined }, { variables, escape })) {
      if (value !== undefined) variables.set(name, value);
    }
  }
  return variables;
}
