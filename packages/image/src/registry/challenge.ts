/** One way in that a server offers: `Bearer realm="https://auth.example/token",service="registry.example"`. */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** By names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const MAX_LENGTH = 16 * 1024;
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y;
const BLANK = /[\s]*/y;
const BLANK_OR_COMMA = /[\s,]*/y;
const EQUALS = /\s*=\s*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;

/** Sticky expressions over one text: each takes what it matches, or nothing. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  take(expression: RegExp): RegExpExecArray | undefined {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#text);
    if (found === null) return undefined;
    this.#at = expression.lastIndex;
    return found;
  }

  rewind(found: RegExpExecArray): void {
    this.#at = found.index;
  }
}

const takeValue = (scanner: Scanner): string | undefined => {
  const quoted = scanner.take(QUOTED)?.[1];
  return quoted === undefined ? scanner.take(TOKEN)?.[0] : quoted.replace(/\\(.)/gs, '$1');
};

/** Parameters up to the next scheme, which is a word that no `=` follows. */
const takeParameters = (scanner: Scanner): Map<string, string> => {
  const parameters = new Map<string, string>();
  for (;;) {
    scanner.take(BLANK_OR_COMMA);
    const name = scanner.take(TOKEN);
    if (name === undefined) return parameters;
    const value = scanner.take(EQUALS) === undefined ? undefined : takeValue(scanner);
    if (value === undefined) {
      scanner.rewind(name);
      return parameters;
    }
    const key = name[0].toLowerCase();
    if (!parameters.has(key)) parameters.set(key, value);
  }
};

/**
 * Reads the values of `WWW-Authenticate`: any number of challenges in any number of headers. What is malformed ends the
 * reading of its header, with the challenges before it kept.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
 */
export const parseChallenges = (headers: readonly string[]): readonly Challenge[] =>
  headers.flatMap((header) => {
    const challenges: Challenge[] = [];
    const scanner = new Scanner(header.slice(0, MAX_LENGTH));
    while (!scanner.atEnd) {
      scanner.take(BLANK_OR_COMMA);
      const scheme = scanner.take(TOKEN)?.[0];
      if (scheme === undefined) break;
      scanner.take(BLANK);
      scanner.take(TOKEN68);
      challenges.push({ scheme: scheme.toLowerCase(), parameters: takeParameters(scanner) });
    }
    return challenges;
  });
