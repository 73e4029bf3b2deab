import type { AddInstruction, CopyInstruction, FileSource, FileSources, InstructionBase } from './ast.ts';
import { parseJsonStrings } from './command-instructions.ts';
import type { EscapeCharacter } from './directives.ts';
import { parseFlags } from './flags.ts';
import type { Flags } from './flags.ts';
import { parseHeredocStart } from './heredoc.ts';
import type { LogicalLine } from './logical-lines.ts';
import { errorAt, wordAt } from './source.ts';
import { splitWords } from './words.ts';

const SHARED_FLAGS = { chown: 'string', chmod: 'string', link: 'boolean', exclude: 'list' } as const;

export function parseCopy(line: LogicalLine, base: InstructionBase, escape: EscapeCharacter): CopyInstruction {
  const flags = parseFlags(line, { ...SHARED_FLAGS, from: 'string', parents: 'boolean' }, escape);
  return {
    ...base,
    type: 'copy',
    ...parseSources(line, flags, escape),
    from: flags.string('from'),
    parents: flags.boolean('parents') ?? false,
  };
}

export function parseAdd(line: LogicalLine, base: InstructionBase, escape: EscapeCharacter): AddInstruction {
  const known = { ...SHARED_FLAGS, checksum: 'string', 'keep-git-dir': 'boolean', unpack: 'boolean' } as const;
  const flags = parseFlags(line, known, escape);
  return {
    ...base,
    type: 'add',
    ...parseSources(line, flags, escape),
    checksum: flags.string('checksum'),
    keepGitDir: flags.boolean('keep-git-dir') ?? false,
    unpack: flags.boolean('unpack'),
  };
}

function parseSources(line: LogicalLine, flags: Flags, escape: EscapeCharacter): FileSources {
  const words = parseJsonStrings(line, flags.rest) ?? splitWords(flags.rest, escape);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) {
    throw errorAt(line, 'BUILDER_SYNTAX', `${line.keyword.toUpperCase()} needs a source and a destination`);
  }
  if (line.heredocs.length > 0 && parseHeredocStart(destination) !== undefined) {
    throw errorAt(wordAt(line, destination), 'BUILDER_SYNTAX', 'a here-document can’t be the destination');
  }
  return {
    sources: words.slice(0, -1).map((word) => fileSource(line, word)),
    destination,
    chown: flags.string('chown'),
    chmod: flags.string('chmod'),
    link: flags.boolean('link') ?? false,
    exclude: flags.list('exclude'),
  };
}

function fileSource(line: LogicalLine, word: string): FileSource {
  const name = line.heredocs.length === 0 ? undefined : parseHeredocStart(word)?.name;
  const heredoc = line.heredocs.find((candidate) => candidate.name === name);
  return heredoc === undefined ? { type: 'path', path: word } : { type: 'heredoc', heredoc };
}
