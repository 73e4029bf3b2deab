import { layerFromFiles } from '@tsc/image';
import type { AddInstruction, CopyInstruction } from './ast.ts';
import { isArchive } from './archive.ts';
import { scopeOf, workingDirOf } from './config-step.ts';
import { planCopy, planDirectory } from './copy-layer.ts';
import { findSources } from './copy-sources.ts';
import type { FoundSource, SourceTree } from './copy-sources.ts';
import { BuilderError } from './errors.ts';
import { expandWord } from './expansion.ts';
import type { ExpansionScope } from './expansion.ts';
import type { TreeEntry } from './file-tree.ts';
import { heredocText } from './heredoc.ts';
import { layeredTree } from './layered-tree.ts';
import { parseMode, parseOwner } from './owner.ts';
import { checkLocal } from './preflight.ts';
import { layerEntries, withLayer } from './stage-state.ts';
import type { StageState } from './stage-state.ts';
import type { StepContext } from './step.ts';

/** Carries out COPY or ADD: one layer, whose bytes depend on the files, their modes and owners, and nothing else. */
export async function copyFiles(
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  context: StepContext,
): Promise<StageState> {
  const scope = scopeOf(state.settings, context.escape);
  const source = context.source;
  const paths = instruction.sources.flatMap((word) => (word.type === 'path' ? [expandWord(word.path, scope)] : []));
  const found = paths.flatMap((path) => find(instruction, source, path));
  const destination = expandWord(instruction.destination, scope);
  // With --link, a COPY knows nothing of what is below it.
  const target = layeredTree(instruction.link ? [] : (state.layers ?? []));
  const files = planCopy(target, {
    source: source ?? NOTHING,
    found,
    inline: inlineFiles(instruction, scope),
    destination,
    workingDir: workingDirOf(state.settings.config),
    owner: instruction.chown === undefined ? undefined : parseOwner(expandWord(instruction.chown, scope)),
    mode: instruction.chmod === undefined ? undefined : parseMode(expandWord(instruction.chmod, scope)),
  });
  const words = [...paths, ...inlineFiles(instruction, scope).map(({ name }) => `<<${name}`), destination];
  return addFiles(state, files, { ...context, createdBy: `${instruction.type.toUpperCase()} ${words.join(' ')}` });
}

const NOTHING: SourceTree = { tree: layeredTree([]), name: 'nothing', ignore: undefined };

function find(
  instruction: CopyInstruction | AddInstruction,
  source: SourceTree | undefined,
  path: string,
): readonly FoundSource[] {
  if (instruction.type === 'add') checkLocal(path);
  if (source === undefined) throw new BuilderError('BUILDER_CONTEXT', `cannot copy ${path}: there is no build context`);
  const found = findSources(source, path);
  if (instruction.type === 'add' && instruction.unpack !== false) {
    const archive = found.find(({ entry }) => entry.sourcePath !== undefined && isArchive(entry.sourcePath));
    if (archive !== undefined) {
      const what = `ADD would unpack ${archive.path}, which is not supported yet: use COPY, or ADD --unpack=false`;
      throw new BuilderError('BUILDER_UNSUPPORTED', what);
    }
  }
  return found;
}

const inlineFiles = (
  { sources }: CopyInstruction | AddInstruction,
  scope: ExpansionScope,
): readonly { readonly name: string; readonly content: string }[] =>
  sources.flatMap((source) => {
    if (source.type !== 'heredoc') return [];
    const text = heredocText(source.heredoc);
    const content = source.heredoc.expand ? expandWord(text, { ...scope, quotes: 'keep' }) : text;
    return [{ name: source.heredoc.name, content }];
  });

/** Makes the working directory, if it isn't there. */
export async function makeWorkingDir(state: StageState, context: StepContext): Promise<StageState> {
  const path = workingDirOf(state.settings.config);
  const files = planDirectory(layeredTree(state.layers ?? []), path);
  return files.size === 0 ? state : addFiles(state, files, { ...context, createdBy: `WORKDIR ${path}` });
}

async function addFiles(
  state: StageState,
  files: ReadonlyMap<string, TreeEntry>,
  { created, signal, createdBy }: StepContext & { readonly createdBy: string },
): Promise<StageState> {
  const layer = await layerFromFiles(layerEntries(files), { mtime: created ?? new Date(0), signal });
  return withLayer(state, { layer, files: { type: 'files', files }, created, createdBy });
}
