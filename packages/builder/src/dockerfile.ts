import type { ArgInstruction, Dockerfile, DockerfileWarning, Stage, StageInstruction } from './ast.ts';
import { parseDirectives } from './directives.ts';
import type { EscapeCharacter } from './directives.ts';
import { BuilderError } from './errors.ts';
import { isLegacyPair, parseInstruction } from './instructions.ts';
import { logicalLines } from './logical-lines.ts';
import type { LogicalLine } from './logical-lines.ts';
import { errorAt, readSource, wordAt } from './source.ts';

export interface ParseDockerfileOptions {
  /** The name that errors begin with; `Dockerfile` unless told. */
  readonly file?: string | undefined;
}

/** Far above any real Dockerfile, far below what would hurt. */
const MAX_CHARACTERS = 8 * 1024 * 1024;

/**
 * Parses a Dockerfile. Pure: nothing is read, resolved or expanded.
 *
 * @throws {@link BuilderError} `BUILDER_SYNTAX`, `BUILDER_UNKNOWN_INSTRUCTION` with the line; `BUILDER_LIMIT`: over 8 MiB
 * @see https://docs.docker.com/reference/dockerfile/
 * @example parseDockerfile('FROM scratch\nCOPY hello /\nCMD ["/hello"]\n').stages[0]?.instructions.length // 2
 */
export function parseDockerfile(text: string, { file = 'Dockerfile' }: ParseDockerfileOptions = {}): Dockerfile {
  if (text.length > MAX_CHARACTERS) {
    throw new BuilderError('BUILDER_LIMIT', `${file}: over ${MAX_CHARACTERS} characters`, { file });
  }
  const source = readSource(file, text);
  const directives = parseDirectives(source);
  const globalArgs: ArgInstruction[] = [];
  const stages: (Stage & { readonly instructions: StageInstruction[] })[] = [];
  const warnings: DockerfileWarning[] = [];
  for (const line of logicalLines(source, directives.escape)) {
    const instruction = parseInstruction(line, directives.escape);
    warnings.push(...lineWarnings(line, directives.escape));
    const stage = stages.at(-1);
    if (instruction.type === 'from') {
      stages.push({ index: stages.length, name: instruction.alias, from: instruction, instructions: [] });
    } else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.type === 'arg') globalArgs.push(instruction);
    else
      throw errorAt(
        wordAt(line, line.keyword),
        'BUILDER_SYNTAX',
        `${line.keyword} before the first FROM: only ARG may stand there`,
      );
  }
  if (stages.length === 0) throw new BuilderError('BUILDER_SYNTAX', `${file}: no FROM instruction`, { file });
  return { source, directives, globalArgs, stages, warnings };
}

/** Parses one instruction as an image's ONBUILD list keeps it. */
export function parseTrigger(expression: string, file: string): StageInstruction {
  const source = readSource(file, expression);
  const [line] = [...logicalLines(source, '\\')];
  if (line === undefined) throw new BuilderError('BUILDER_SYNTAX', `${file}: empty ONBUILD trigger`, { file });
  const instruction = parseInstruction(line, '\\');
  if (instruction.type === 'from' || instruction.type === 'onbuild' || instruction.type === 'maintainer') {
    throw errorAt(wordAt(line, line.keyword), 'BUILDER_SYNTAX', `${line.keyword} can't be an ONBUILD trigger`);
  }
  return instruction;
}

function lineWarnings(line: LogicalLine, escape: EscapeCharacter): readonly DockerfileWarning[] {
  const warnings: DockerfileWarning[] = [];
  const warn = (rule: DockerfileWarning['rule'], message: string): void => {
    warnings.push({ rule, message, range: line.range });
  };
  const keyword = line.keyword.toUpperCase();
  if (line.hasEmptyContinuation) warn('NoEmptyContinuation', 'an empty line inside a continuation');
  if (keyword === 'MAINTAINER')
    warn('MaintainerDeprecated', 'MAINTAINER is deprecated: use LABEL org.opencontainers.image.authors');
  if (isLegacyPair(line, escape)) warn('LegacyKeyValueFormat', `${keyword} key=value, with =`);
  if ((keyword === 'CMD' || keyword === 'ENTRYPOINT') && !line.rest.startsWith('[')) {
    warn('JSONArgsRecommended', `${keyword} in shell form keeps signals from the program: use a JSON array`);
  }
  return warnings;
}
