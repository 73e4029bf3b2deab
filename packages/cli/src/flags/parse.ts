import { CliError, isCliError } from '../errors.ts';
import type { Flags, FlagValues } from './flag.ts';
import { suggest } from './suggest.ts';

export interface ParseRules {
  /** False for run and exec: the first positional word ends our flags, the rest belongs to the container. */
  readonly interspersed: boolean;
  /** Flags that Docker has and we don't, by long name or by one letter: refused with a clearer message. */
  readonly notYet?: readonly string[] | undefined;
}

export interface Parsed<F> {
  readonly values: FlagValues<F>;
  /** The flags that were written, by long name. */
  readonly given: ReadonlySet<string>;
  readonly positional: readonly string[];
  /** `--help` was asked for; nothing after it was read. */
  readonly help: boolean;
}

/** Wrong flags end with 125 in every command, as Docker's do. */
const flagError = (message: string): CliError => new CliError('CLI_BAD_FLAG', message, { exitCode: 125 });

/** Reads flags with the rules of pflag (GNU style, values attached or following, one-letter flags in one word). */
export function parseFlags<F extends Flags>(flags: F, words: readonly string[], rules: ParseRules): Parsed<F> {
  const reader = new FlagReader(flags, words, rules);
  reader.readAll();
  return {
    values: Object.fromEntries(reader.values) as FlagValues<F>,
    given: reader.given,
    positional: reader.positional,
    help: reader.help,
  };
}

class FlagReader {
  readonly values = new Map<string, unknown>();
  readonly given = new Set<string>();
  readonly positional: string[] = [];
  help = false;
  readonly #words: string[];
  readonly #rules: ParseRules;
  readonly #flags: Flags;
  readonly #byWord = new Map<string, string>();

  constructor(flags: Flags, words: readonly string[], rules: ParseRules) {
    this.#flags = flags;
    this.#words = [...words];
    this.#rules = rules;
    for (const [name, flag] of Object.entries(flags)) {
      this.values.set(name, flag.initial);
      this.#byWord.set(name, name);
      for (const alias of flag.aliases) this.#byWord.set(alias, name);
      if (flag.short !== undefined) this.#byWord.set(`-${flag.short}`, name);
    }
  }

  readAll(): void {
    for (let word = this.#words.shift(); word !== undefined && !this.help; word = this.#words.shift()) {
      if (word === '--') {
        this.positional.push(...this.#words);
        return;
      }
      if (word.startsWith('--')) this.#readLong(word);
      else if (word.startsWith('-') && word !== '-') this.#readShorts(word);
      else if (this.#rules.interspersed) this.positional.push(word);
      else {
        this.positional.push(word, ...this.#words);
        return;
      }
    }
  }

  #readLong(word: string): void {
    const equals = word.indexOf('=');
    const name = equals === -1 ? word.slice(2) : word.slice(2, equals);
    if (name === '' || name.startsWith('-')) throw flagError(`bad flag syntax: ${word}`);
    const known = this.#byWord.get(name);
    if (known === undefined) {
      if (name === 'help') this.help = true;
      else throw this.#unknown(name);
      return;
    }
    const attached = equals === -1 ? undefined : word.slice(equals + 1);
    this.#accept(known, attached, () => `flag needs an argument: --${name}`);
  }

  /** `-it`, `-p8080:80`, `-p=8080:80`, `-p 8080:80` */
  #readShorts(word: string): void {
    for (let i = 1; i < word.length; i++) {
      const letter = word.charAt(i);
      const known = this.#byWord.get(`-${letter}`);
      if (known === undefined) {
        if (letter !== 'h') throw this.#unknownShort(letter, word);
        this.help = true;
        return;
      }
      const rest = word.slice(i + 1);
      const takesValue = this.#flags[known]?.impliedValue === undefined;
      const attached = rest.startsWith('=') ? rest.slice(1) : takesValue && rest !== '' ? rest : undefined;
      this.#accept(known, attached, () => `flag needs an argument: '${letter}' in ${word}`);
      if (attached !== undefined || takesValue) return;
    }
  }

  #accept(name: string, attached: string | undefined, complaint: () => string): void {
    const flag = this.#flags[name];
    if (flag === undefined) return;
    const word = attached ?? flag.impliedValue ?? this.#words.shift();
    if (word === undefined) throw flagError(complaint());
    try {
      this.values.set(name, flag.accept(this.values.get(name), word));
    } catch (error) {
      if (!isCliError(error)) throw error;
      const shown = flag.short === undefined ? `--${name}` : `-${flag.short}, --${name}`;
      throw flagError(`invalid argument ${JSON.stringify(word)} for "${shown}" flag: ${error.message}`);
    }
    this.given.add(name);
  }

  #unknown(name: string): CliError {
    if (this.#rules.notYet?.includes(name) === true) return flagError(`flag --${name} is not supported yet`);
    const near = suggest(name, Object.keys(this.#flags));
    return flagError(`unknown flag: --${name}${near === undefined ? '' : ` (did you mean --${near}?)`}`);
  }

  #unknownShort(letter: string, word: string): CliError {
    if (this.#rules.notYet?.includes(letter) === true) return flagError(`flag -${letter} is not supported yet`);
    return flagError(`unknown shorthand flag: '${letter}' in ${word}`);
  }
}
