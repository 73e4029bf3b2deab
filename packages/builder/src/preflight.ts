import type { AddInstruction, CopyInstruction, RunInstruction, StageInstruction } from './ast.ts';
import { wholeHeredoc } from './config-step.ts';
import { BuilderError, isBuilderError } from './errors.ts';
import { parseMode, parseOwner } from './owner.ts';
import type { RunStep } from './run-step.ts';
import { errorAt } from './source.ts';

/** What the caller has given the build to work with. */
export interface Means {
  readonly runStep: RunStep | undefined;
}

/**
 * Refuses what can't be carried out, before anything is.
 *
 * @throws {@link BuilderError} `BUILDER_UNSUPPORTED`, with the line
 */
export function checkInstruction(instruction: StageInstruction, means: Means): void {
  const why =
    instruction.type === 'run'
      ? refuseRun(instruction, means)
      : isFiles(instruction)
        ? refuseFiles(instruction)
        : undefined;
  if (why !== undefined) throw errorAt(instruction, 'BUILDER_UNSUPPORTED', why);
}

const isFiles = (instruction: StageInstruction): instruction is CopyInstruction | AddInstruction =>
  instruction.type === 'copy' || instruction.type === 'add';

function refuseRun(instruction: RunInstruction, { runStep }: Means): string | undefined {
  if (runStep === undefined) return 'RUN needs something that runs containers: pass runStep to build()';
  const shebang = wholeHeredoc(instruction.command)?.content.startsWith('#!') === true;
  if (shebang) return 'a here-document with #! is not supported yet: name the interpreter, RUN python3 <<EOF';
  return runStep.refuse?.(instruction);
}

function refuseFiles(instruction: CopyInstruction | AddInstruction): string | undefined {
  if (instruction.exclude.length > 0) return '--exclude is not supported yet';
  if (instruction.type === 'copy' && instruction.parents) return '--parents is not supported yet';
  if (instruction.type === 'add') {
    if (instruction.checksum !== undefined) return '--checksum is not supported yet: ADD takes local files only';
    if (instruction.keepGitDir) return '--keep-git-dir is not supported yet: ADD takes local files only';
    if (instruction.unpack === true) return '--unpack is not supported yet';
    const remote = instruction.sources.find((source) => source.type === 'path' && isRemote(source.path));
    if (remote?.type === 'path') return `ADD takes local files only so far, not ${remote.path}`;
  }
  return refuseAttributes(instruction);
}

function refuseAttributes({ chown, chmod }: CopyInstruction | AddInstruction): string | undefined {
  try {
    if (chown !== undefined && !chown.includes('$')) parseOwner(chown);
    if (chmod !== undefined && !chmod.includes('$')) parseMode(chmod);
    return undefined;
  } catch (error) {
    if (isBuilderError(error)) return error.message;
    throw error;
  }
}

/** What ADD would download. */
export const isRemote = (source: string): boolean => {
  const lower = source.toLowerCase();
  return ['http://', 'https://', 'git://', 'ssh://', 'git@'].some((scheme) => lower.startsWith(scheme));
};

/** @throws {@link BuilderError} `BUILDER_UNSUPPORTED`: a variable has turned out to be a URL */
export function checkLocal(source: string): void {
  if (isRemote(source))
    throw new BuilderError('BUILDER_UNSUPPORTED', `ADD takes local files only so far, not ${source}`);
}
