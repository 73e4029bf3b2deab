import { badValue } from '../errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** `NAME=value`; a `NAME` alone takes the value it has in `environment`, and stays alone when it has none there. */
export function parseEnv(word: string, environment: Environment): string {
  if (word === '' || word.startsWith('=')) throw badValue(`invalid environment variable: ${word}`);
  if (word.includes('=')) return word;
  const inherited = environment[word];
  return inherited === undefined ? word : `${word}=${inherited}`;
}

/**
 * The lines of an `--env-file`: `NAME=value` without quoting, `#` starts a comment line, and a `NAME` alone is taken
 * from `environment` or left out.
 */
export function parseEnvFile(content: string, file: string, environment: Environment): readonly string[] {
  return assignmentLines(content, file).flatMap(({ name, value }) => {
    if (value !== undefined) return [`${name}=${value}`];
    const inherited = environment[name];
    return inherited === undefined ? [] : [`${name}=${inherited}`];
  });
}

/** The lines of a `--label-file`, in the same form; a name alone has an empty value. */
export const parseLabelFile = (content: string, file: string): readonly string[] =>
  assignmentLines(content, file).map(({ name, value }) => `${name}=${value ?? ''}`);

function assignmentLines(content: string, file: string): readonly { name: string; value: string | undefined }[] {
  const lines = content.replace(/^\uFEFF/, '').split(/\r?\n/);
  return lines.flatMap((raw, index) => {
    const line = raw.trimStart();
    if (line === '' || line.startsWith('#')) return [];
    const equals = line.indexOf('=');
    const name = equals === -1 ? line.trim() : line.slice(0, equals);
    const where = `poorly formatted environment: ${file}: line ${String(index + 1)}`;
    if (name === '') throw badValue(`${where}: no variable name on line '${line}'`);
    if (/\s/.test(name)) throw badValue(`${where}: variable '${name}' contains whitespaces`);
    return [{ name, value: equals === -1 ? undefined : line.slice(equals + 1) }];
  });
}

/** `key=value` words as a record; the last one of a key wins, a key alone has an empty value. */
export function parseLabels(words: readonly string[]): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const word of words) {
    const { key, value } = splitAssignment(word);
    if (key === '') throw badValue(`invalid label '${word}': empty name`);
    labels[key] = value ?? '';
  }
  return labels;
}

/** `key=value` words that need their value: `--sysctl`, `--log-opt`. */
export function parseAssignments(words: readonly string[], flag: string): Readonly<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const word of words) {
    const { key, value } = splitAssignment(word);
    if (key === '' || value === undefined) throw badValue(`invalid ${flag} '${word}': it is written key=value`);
    result[key] = value;
  }
  return result;
}

function splitAssignment(word: string): { key: string; value: string | undefined } {
  const equals = word.indexOf('=');
  return equals === -1
    ? { key: word, value: undefined }
    : { key: word.slice(0, equals), value: word.slice(equals + 1) };
}
