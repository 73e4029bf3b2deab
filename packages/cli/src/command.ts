import type { Engine } from '@tsc/engine';

import { CliError } from './errors.ts';
import type { Flags, FlagValues } from './flags/flag.ts';
import { formatHelp } from './flags/help.ts';
import { parseFlags } from './flags/parse.ts';
import { print } from './output.ts';

/** Where a command was called from. */
export interface Surroundings {
  /** The words that named it: `tsc run`, `tsc container run`. */
  readonly calledAs: string;
  readonly rootDir: string | undefined;
  readonly runDir: string | undefined;
}

export interface Invocation<F> {
  readonly values: FlagValues<F>;
  readonly given: ReadonlySet<string>;
  readonly positional: readonly string[];
  readonly surroundings: Surroundings;
}

export interface CommandWords<F> {
  /** The words after the command's name: `[OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  readonly usage: string;
  readonly summary: string;
  /** Every way to call it. */
  readonly aliases?: readonly string[] | undefined;
  readonly flags: F;
  /** Flags that Docker has and we don't, so far. */
  readonly notYet?: readonly string[] | undefined;
  /** False when words after the first positional one belong to the container. */
  readonly interspersed?: boolean | undefined;
  readonly least: number;
  readonly most?: number | undefined;
  /** The exit code when it fails: 1 unless written. */
  readonly failureCode?: number | undefined;
  /** Works for everybody, not only for root. */
  readonly unprivileged?: boolean | undefined;
  /** Returns the exit code. */
  run(invocation: Invocation<F>): Promise<number>;
}

export interface Command {
  readonly failureCode: number;
  execute(words: readonly string[], surroundings: Surroundings): Promise<number>;
}

export const defineCommand = <F extends Flags>(spec: CommandWords<F>): Command => ({
  failureCode: spec.failureCode ?? 1,
  execute: (words, surroundings) => execute(spec, words, surroundings),
});

async function execute<F extends Flags>(
  spec: CommandWords<F>,
  words: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const { interspersed = true, notYet, aliases = [], flags, summary } = spec;
  const { help, ...parsed } = parseFlags(flags, words, { interspersed, notYet });
  if (help) {
    const columns = process.stdout.isTTY ? process.stdout.columns : 80;
    print(formatHelp({ usage: `${surroundings.calledAs} ${spec.usage}`, summary, aliases, flags }, columns - 1));
    return 0;
  }
  requireCount(spec, parsed.positional.length, surroundings.calledAs);
  if (spec.unprivileged !== true) requireRoot();
  return spec.run({ ...parsed, surroundings });
}

function requireCount<F>({ least, most }: CommandWords<F>, count: number, calledAs: string): void {
  if (count >= least && count <= (most ?? Infinity)) return;
  const amount = least === most ? '' : count < least ? 'at least ' : 'at most ';
  const wanted = count < least ? least : (most ?? least);
  const words =
    wanted === 0 ? 'accepts no arguments' : `requires ${amount}${wanted} argument${wanted === 1 ? '' : 's'}`;
  throw new CliError('CLI_USAGE', `'${calledAs}' ${words}`, { exitCode: 1 });
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new CliError(
    'CLI_NEEDS_ROOT',
    'this needs root: containers are made of mounts, networks and cgroups; try sudo',
  );
}

/** Opens the engine for the length of `use`; loaded here, so that bad words and help cost nothing. */
export async function withEngine<T>(surroundings: Surroundings, use: (engine: Engine) => Promise<T>): Promise<T> {
  const { openEngine } = await import('@tsc/engine');
  const { rootDir, runDir } = surroundings;
  await using engine = await openEngine({ rootDir, runDir });
  return await use(engine);
}
