import type { Surroundings } from './command.ts';
import { commandGroups, commands } from './command-table.ts';
import type { CommandEntry, CommandGroup } from './command-table.ts';
import { CliError } from './errors.ts';
import { reportFailure } from './failure.ts';
import { text, toggle } from './flags/flag.ts';
import { formatHelp } from './flags/help.ts';
import { parseFlags } from './flags/parse.ts';
import { suggest } from './flags/suggest.ts';
import { print, printLine } from './output.ts';

const globalFlags = {
  debug: toggle('Show where an error happened', { short: 'D' }),
  root: text('Where images and containers are kept', { hidden: true }),
  'run-root': text('Where the state of running containers is kept', { hidden: true }),
  version: toggle('Print version information and quit', { short: 'v' }),
};

/** Docker's global flags about daemons, which this program has none of. */
const NOT_YET = [
  'config',
  'context',
  'c',
  'host',
  'H',
  'log-level',
  'l',
  'tls',
  'tlscacert',
  'tlscert',
  'tlskey',
  'tlsverify',
];

/** Runs one command line and returns its exit code. Only the module of the command that is called is loaded. */
export async function dispatch(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const setting = { calledAs: 'tsc', failureCode: 1, debug: environment['TSC_DEBUG'] === '1' };
  try {
    const { values, positional, help } = parseFlags(globalFlags, words, { interspersed: false, notYet: NOT_YET });
    setting.debug ||= values.debug;
    if (values.version) return await printVersion();
    const [name, ...rest] = positional;
    if (help || name === undefined) return printHelp();
    const called = name === 'help' ? resolve(rest, ['--help']) : resolve([name], rest);
    if (called === undefined) return printHelp();
    if (typeof called === 'number') return called;
    setting.calledAs = called.calledAs;
    const { command } = await called.load();
    setting.failureCode = command.failureCode;
    const surroundings: Surroundings = {
      calledAs: called.calledAs,
      rootDir: values.root ?? environment['TSC_ROOT'],
      runDir: values['run-root'] ?? environment['TSC_RUN'],
    };
    return await command.execute(called.words, surroundings);
  } catch (error) {
    return reportFailure(error, setting);
  }
}

interface Called {
  readonly calledAs: string;
  readonly load: CommandEntry['load'];
  readonly words: readonly string[];
}

/** Finds the command that words name; a group without a verb prints its help and gives the exit code. */
function resolve([name, ...more]: readonly string[], rest: readonly string[]): Called | number | undefined {
  if (name === undefined) return undefined;
  const group = Object.hasOwn(commandGroups, name) ? commandGroups[name] : undefined;
  if (group !== undefined) return resolveVerb([name], group, [...more, ...rest]);
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) throw unknown('tsc', name, [...Object.keys(commands), ...Object.keys(commandGroups)]);
  return { calledAs: `tsc ${name}`, load: entry.load, words: [...more, ...rest] };
}

/** `path` is the group's own name, of as many words as it is deep. */
function resolveVerb(
  path: readonly string[],
  group: CommandGroup,
  [verb, ...words]: readonly string[],
): Called | number {
  const calledAs = ['tsc', ...path].join(' ');
  if (verb === undefined || verb === '--help' || verb === '-h') {
    printGroupHelp(calledAs, group);
    return 0;
  }
  const found = Object.hasOwn(group.verbs, verb) ? group.verbs[verb] : undefined;
  if (found === undefined) throw unknown(calledAs, verb, Object.keys(group.verbs));
  if (typeof found !== 'string' && 'verbs' in found) return resolveVerb([...path, verb], found, words);
  const entry = entryOf(found);
  // The one `inspect` is for all kinds of things; a group says which.
  const typed = found === 'inspect' ? [`--type=${path.join(' ')}`] : [];
  return { calledAs: `${calledAs} ${verb}`, load: entry.load, words: [...typed, ...words] };
}

function entryOf(found: string | CommandEntry): CommandEntry {
  if (typeof found !== 'string') return found;
  const entry = commands[found];
  if (entry === undefined) throw new TypeError(`no command ${found}`);
  return entry;
}

function unknown(calledAs: string, word: string, known: readonly string[]): CliError {
  const near = suggest(word, known);
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  return new CliError('CLI_USAGE', `unknown command: ${calledAs} ${word}${hint}`);
}

async function printVersion(): Promise<number> {
  const { version } = await import('./version.ts');
  printLine(`tsc version ${version}`);
  return 0;
}

function printHelp(): number {
  const page = { usage: 'tsc [OPTIONS] COMMAND', summary: 'A container engine without a daemon', aliases: [] };
  const lines = [
    formatHelp({ ...page, flags: {} }, 80),
    'Management Commands:',
    ...columns(Object.entries(commandGroups).map(([name, { summary }]) => [name, summary])),
    '',
    'Commands:',
    ...columns(Object.entries(commands).map(([name, { summary }]) => [name, summary])),
    '',
    'Global Options:',
    formatHelp({ ...page, flags: globalFlags }, 80).split('Options:\n')[1] ?? '',
    "Run 'tsc COMMAND --help' for more information on a command.",
  ];
  printLine(lines.join('\n'));
  return 0;
}

function printGroupHelp(calledAs: string, { summary, verbs }: CommandGroup): void {
  const rows = Object.entries(verbs).map(([verb, found]): [string, string] => [
    verb,
    typeof found !== 'string' && 'verbs' in found ? found.summary : entryOf(found).summary,
  ]);
  print(`Usage:  ${calledAs} COMMAND\n\n${summary}\n\nCommands:\n${columns(rows).join('\n')}\n`);
  print(`\nRun '${calledAs} COMMAND --help' for more information on a command.\n`);
}

const columns = (rows: readonly (readonly [string, string])[]): readonly string[] => {
  const width = Math.max(...rows.map(([name]) => name.length)) + 3;
  return rows.map(([name, summary]) => `  ${name.padEnd(width)}${summary}`);
};
