import type {
  ArgInstruction,
  FromInstruction,
  Instruction,
  InstructionBase,
  KeyValue,
  OnbuildInstruction,
  ValueInstruction,
} from './ast.ts';
import { parseCommand, parseHealthcheck, parseJsonStrings, parseRun, parseShell } from './command-instructions.ts';
import type { EscapeCharacter } from './directives.ts';
import { parseAdd, parseCopy } from './file-instructions.ts';
import { parseFlags } from './flags.ts';
import { splitKeyword } from './logical-lines.ts';
import type { LogicalLine } from './logical-lines.ts';
import { errorAt, wordAt } from './source.ts';
import { suggestion } from './spelling.ts';
import { splitWords } from './words.ts';

type Parse = (line: LogicalLine, base: InstructionBase, escape: EscapeCharacter) => Instruction;

const PARSERS: ReadonlyMap<string, Parse> = new Map<string, Parse>([
  ['ADD', parseAdd],
  ['ARG', parseArg],
  ['CMD', (line, base) => parseCommand(line, base, 'cmd')],
  ['COPY', parseCopy],
  ['ENTRYPOINT', (line, base) => parseCommand(line, base, 'entrypoint')],
  ['ENV', (line, base, escape) => ({ ...base, type: 'env', pairs: parsePairs(line, escape) })],
  ['EXPOSE', (line, base) => ({ ...base, type: 'expose', ports: atLeastOne(line, line.rest.split(/\s+/)) })],
  ['FROM', parseFrom],
  ['HEALTHCHECK', parseHealthcheck],
  ['LABEL', (line, base, escape) => ({ ...base, type: 'label', pairs: parsePairs(line, escape) })],
  ['MAINTAINER', (line, base) => parseValue(line, base, 'maintainer')],
  ['ONBUILD', parseOnbuild],
  ['RUN', parseRun],
  ['SHELL', parseShell],
  ['STOPSIGNAL', (line, base) => parseValue(line, base, 'stopsignal')],
  ['USER', (line, base) => parseValue(line, base, 'user')],
  ['VOLUME', parseVolume],
  ['WORKDIR', (line, base) => parseValue(line, base, 'workdir')],
]);

const FLAGGED = new Set(['ADD', 'COPY', 'FROM', 'HEALTHCHECK', 'ONBUILD', 'RUN']);

/**
 * Reads one instruction.
 *
 * @throws {@link BuilderError} `BUILDER_UNKNOWN_INSTRUCTION`, `BUILDER_SYNTAX`
 */
export function parseInstruction(line: LogicalLine, escape: EscapeCharacter): Instruction {
  const keyword = line.keyword.toUpperCase();
  const parse = PARSERS.get(keyword);
  if (parse === undefined) {
    const what = `unknown instruction ${line.keyword}${suggestion(line.keyword, PARSERS.keys())}`;
    throw errorAt(wordAt(line, line.keyword), 'BUILDER_UNKNOWN_INSTRUCTION', what);
  }
  if (!FLAGGED.has(keyword) && line.rest.startsWith('--')) parseFlags(line, {}, escape);
  const base = { source: line.source, range: line.range, text: `${keyword} ${line.rest}`.trim() };
  return parse(line, base, escape);
}

function atLeastOne(line: LogicalLine, words: readonly string[]): readonly string[] {
  const found = words.filter((word) => word !== '');
  if (found.length === 0) {
    throw errorAt(line, 'BUILDER_SYNTAX', `${line.keyword.toUpperCase()} needs at least one argument`);
  }
  return found;
}

function parseFrom(line: LogicalLine, base: InstructionBase, escape: EscapeCharacter): FromInstruction {
  const flags = parseFlags(line, { platform: 'string' }, escape);
  const [image, as, alias, ...more] = splitWords(flags.rest, escape);
  if (image === undefined) throw errorAt(line, 'BUILDER_SYNTAX', 'FROM needs an image');
  if (as !== undefined && (as.toUpperCase() !== 'AS' || alias === undefined || more.length > 0)) {
    throw errorAt(wordAt(line, as), 'BUILDER_SYNTAX', 'FROM takes an image, or image AS name');
  }
  const name = alias?.toLowerCase();
  if (name !== undefined && !isStageName(name)) {
    const why = 'a letter, then letters, digits, dashes, underscores and dots';
    throw errorAt(wordAt(line, alias), 'BUILDER_SYNTAX', `${alias ?? ''} is no stage name: ${why}`);
  }
  return { ...base, type: 'from', image, alias: name, platform: flags.string('platform') };
}

const isStageName = (name: string): boolean => /^[a-z][a-z0-9._-]*$/.test(name);

function parseArg(line: LogicalLine, base: InstructionBase, escape: EscapeCharacter): ArgInstruction {
  const args = atLeastOne(line, splitWords(line.rest, escape)).map((word) => {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    if (name === '') throw errorAt(wordAt(line, word), 'BUILDER_SYNTAX', 'ARG needs a name before =');
    return { name, defaultValue: equals < 0 ? undefined : word.slice(equals + 1) };
  });
  return { ...base, type: 'arg', args };
}

/** `KEY=value …`, or the old `KEY all of the rest`. Which of them is decided by the first word. */
function parsePairs(line: LogicalLine, escape: EscapeCharacter): readonly KeyValue[] {
  const words = atLeastOne(line, splitWords(line.rest, escape));
  if (!(words[0] ?? '').includes('=')) {
    const [key, value] = splitKeyword(line.rest);
    if (value !== '') return [{ key, value }];
    throw errorAt(wordAt(line, key), 'BUILDER_SYNTAX', `${line.keyword.toUpperCase()} needs a value: ${key}=…`);
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals < 0) throw errorAt(wordAt(line, word), 'BUILDER_SYNTAX', `no = in ${word}: write name=value`);
    if (equals === 0) throw errorAt(wordAt(line, word), 'BUILDER_SYNTAX', `no name before = in ${word}`);
    return { key: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}

/** Whether ENV or LABEL is written the old way, `KEY value`. */
export function isLegacyPair(line: LogicalLine, escape: EscapeCharacter): boolean {
  const keyword = line.keyword.toUpperCase();
  return (keyword === 'ENV' || keyword === 'LABEL') && !(splitWords(line.rest, escape)[0] ?? '=').includes('=');
}

function parseValue(line: LogicalLine, base: InstructionBase, type: ValueInstruction['type']): ValueInstruction {
  if (line.rest === '') throw errorAt(line, 'BUILDER_SYNTAX', `${line.keyword.toUpperCase()} needs a value`);
  return { ...base, type, value: line.rest };
}

function parseVolume(line: LogicalLine, base: InstructionBase): Instruction {
  const paths = atLeastOne(line, parseJsonStrings(line, line.rest) ?? line.rest.split(/\s+/));
  return { ...base, type: 'volume', paths };
}

function parseOnbuild(line: LogicalLine, base: InstructionBase, escape: EscapeCharacter): OnbuildInstruction {
  const [keyword, rest] = splitKeyword(line.rest);
  if (keyword === '') throw errorAt(line, 'BUILDER_SYNTAX', 'ONBUILD needs an instruction');
  const trigger = parseInstruction({ ...line, keyword, rest }, escape);
  if (trigger.type === 'onbuild' || trigger.type === 'from' || trigger.type === 'maintainer') {
    throw errorAt(wordAt(line, keyword), 'BUILDER_SYNTAX', `${keyword.toUpperCase()} can't be an ONBUILD trigger`);
  }
  const heredocs = line.heredocs.map(({ content, name }) => `\n${content}${name}`);
  return { ...base, type: 'onbuild', expression: `${line.rest}${heredocs.join('')}`, trigger };
}
