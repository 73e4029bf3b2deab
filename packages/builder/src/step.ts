import { appendLayer } from '@tsc/image';
import type { Layer } from '@tsc/image';
import type { RunInstruction, StageInstruction } from './ast.ts';
import type { BuildArgs } from './build-args.ts';
import { PROXY_ARGS } from './build-args.ts';
import { applySetting, argvOf, isSetting, scopeOf, workingDirOf } from './config-step.ts';
import type { SourceTree } from './copy-sources.ts';
import type { EscapeCharacter } from './directives.ts';
import { BuilderError } from './errors.ts';
import { copyFiles, makeWorkingDir } from './file-step.ts';
import type { HeldImages } from './held-images.ts';
import { expandAt, fromNames } from './plan.ts';
import type { RunEvent, RunRequestMount, RunStep } from './run-step.ts';
import { withLayer, withSettings } from './stage-state.ts';
import { layeredTree } from './layered-tree.ts';
import type { TreeLayer } from './layered-tree.ts';
import { filesToMount } from './mount-files.ts';
import type { BuildStore, StageState } from './stage-state.ts';

/** What an instruction is carried out with. */
export interface StepContext {
  readonly store: BuildStore;
  readonly held: HeldImages;
  readonly args: BuildArgs;
  readonly escape: EscapeCharacter;
  /** What COPY, ADD and the mounts of RUN read: the context, a stage or an image; undefined if it reads nothing. */
  readonly source: SourceTree | undefined;
  /** The stages or images that RUN mounts from, in the order of its mounts. */
  readonly froms: readonly StageState[];
  readonly runStep: RunStep | undefined;
  readonly created: Date | undefined;
  readonly signal: AbortSignal | undefined;
}

type Output = Extract<RunEvent, { readonly type: 'output' }>;

/** Carries out one instruction. Yields what RUN prints, and returns the stage after it. */
export async function* carryOut(
  state: StageState,
  instruction: StageInstruction,
  context: StepContext,
): AsyncGenerator<Output, StageState, void> {
  context.signal?.throwIfAborted();
  if (instruction.type === 'run') return yield* run(state, instruction, context);
  const known = needsFiles(instruction) ? await withKnownFiles(state, context) : state;
  if (!isSetting(instruction)) return copyFiles(known, instruction, context);
  const { settings, createdBy } = applySetting(known.settings, instruction, context);
  if (instruction.type !== 'workdir') return withSettings(known, settings, { createdBy, created: context.created });
  return makeWorkingDir(withSettings(known, settings, { createdBy, created: context.created }), context);
}

const needsFiles = ({ type }: StageInstruction): boolean => type === 'copy' || type === 'add' || type === 'workdir';

/** After RUN only an unpacked image can say what is where. */
export async function withKnownFiles(state: StageState, { held, signal }: StepContext): Promise<StageState> {
  if (state.layers !== undefined) return state;
  const { layerDirs } = await held.hold(state.image, signal);
  return { ...state, layers: layerDirs.map((dir) => ({ type: 'directory', dir })) };
}

async function* run(
  state: StageState,
  instruction: RunInstruction,
  context: StepContext,
): AsyncGenerator<Output, StageState, void> {
  const { runStep, held, signal, created } = context;
  if (runStep === undefined) throw new BuilderError('BUILDER_UNSUPPORTED', 'RUN needs runStep');
  const { config } = state.settings;
  const { id } = await held.hold(state.image, signal);
  const argv = argvOf(instruction.command, config);
  const request = {
    image: state.image,
    imageId: id,
    argv,
    env: runEnvironment(state, context),
    workingDir: workingDirOf(config),
    user: config.User ?? '',
    network: instruction.network,
    security: instruction.security,
    mounts: await requestMounts(state, instruction, context),
    devices: instruction.devices,
  };
  let finished: Extract<RunEvent, { readonly type: 'finished' }> | undefined;
  let made: MadeLayer | undefined;
  for await (const event of runStep(request, { signal })) {
    if (event.type === 'output') yield event;
    else {
      finished = event;
      if (event.exitCode === 0 && event.layer !== undefined) made = await keepLayer(state, event.layer, context);
    }
  }
  const createdBy = `RUN ${argv.join(' ')}`;
  if (finished?.exitCode !== 0) {
    const how = finished === undefined ? 'did not finish' : `ended with exit code ${String(finished.exitCode)}`;
    throw new BuilderError('BUILDER_RUN_FAILED', `${instruction.text}: ${how}`);
  }
  if (made === undefined) return withSettings(state, state.settings, { createdBy, created });
  return withLayer(state, { ...made, createdBy, created });
}

interface MadeLayer {
  readonly layer: Layer;
  readonly files: TreeLayer | undefined;
}

/** Stores a layer while whoever made it still has it. From then on it is the store's. */
async function keepLayer(state: StageState, layer: Layer, { held, store, signal }: StepContext): Promise<MadeLayer> {
  const { id, layerDirs } = await held.hold(appendLayer(state.image, layer), signal);
  const stored = await store.image(id);
  const [dir] = layerDirs;
  return { layer: stored.layers.at(-1) ?? layer, files: dir === undefined ? undefined : { type: 'directory', dir } };
}

/** The image's ENV, then the ARGs that it doesn't hide, and the proxies that the caller gave. */
function runEnvironment({ settings }: StageState, { args }: StepContext): readonly string[] {
  const proxies = PROXY_ARGS.flatMap((name) => {
    const value = args.given.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const env = new Map([...proxies, ...settings.args]);
  const own = settings.config.Env ?? [];
  const names = new Set(own.map((line) => line.split('=', 1)[0]));
  return [...own, ...[...env].filter(([name]) => !names.has(name)).map(([name, value]) => `${name}=${value}`)];
}

async function requestMounts(
  state: StageState,
  instruction: RunInstruction,
  context: StepContext,
): Promise<readonly RunRequestMount[]> {
  const remaining = [...context.froms];
  const names = fromNames(instruction);
  const mounts: RunRequestMount[] = [];
  for (const { type, options } of instruction.mounts) {
    const from = options.has('from') ? remaining.shift() : undefined;
    const scope = scopeOf(state.settings, context.escape);
    const expanded = new Map([...options].map(([name, value]) => [name, expandAt(instruction, value, scope)]));
    const name = names[context.froms.length - remaining.length - 1] ?? '';
    const source = from === undefined ? context.source : await treeOf(from, name, context);
    const open = (signal: AbortSignal | undefined): ReturnType<typeof filesToMount> =>
      filesToMount(source, expanded.get('source') ?? '/', signal);
    mounts.push({ type, options: expanded, open: type === 'bind' ? open : undefined });
  }
  return mounts;
}

/** The files of another stage or image. */
export async function treeOf(from: StageState, name: string, context: StepContext): Promise<SourceTree> {
  const { layers = [] } = await withKnownFiles(from, context);
  return { tree: layeredTree(layers), name, ignore: undefined };
}
