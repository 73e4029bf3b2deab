import { openBase } from './base-image.ts';
import type { BaseMeans } from './base-image.ts';
import type { BasePullEvent } from './base-pull.ts';
import type { SourceTree } from './copy-sources.ts';
import { parseTrigger } from './dockerfile.ts';
import type { StageInstruction } from './ast.ts';
import { isBuilderError } from './errors.ts';
import type { HeldImages } from './held-images.ts';
import { fromNames, readsContext } from './plan.ts';
import type { BaseNode, BuildPlan, PlanNode, StageNode, StepNode } from './plan.ts';
import { checkInstruction } from './preflight.ts';
import type { RunStep } from './run-step.ts';
import { errorAt } from './source.ts';
import { beginStage, withSettings } from './stage-state.ts';
import type { StageState } from './stage-state.ts';
import { carryOut, treeOf } from './step.ts';
import type { StepContext } from './step.ts';

/** What a plan is carried out with. */
export interface Means extends BaseMeans {
  readonly runStep: RunStep | undefined;
  readonly created: Date | undefined;
}

export interface ExecutionOptions extends Means {
  /** undefined when no step reads it. */
  readonly context: SourceTree | undefined;
  readonly held: HeldImages;
}

export type StepEvent =
  | {
      readonly type: 'step-started';
      readonly step: number;
      readonly steps: number;
      readonly stage: string;
      readonly text: string;
    }
  | {
      readonly type: 'step-output';
      readonly step: number;
      readonly stream: 'stdout' | 'stderr';
      readonly bytes: Uint8Array;
    }
  /** `layers` is how many layers the stage has now. */
  | { readonly type: 'step-done'; readonly step: number; readonly layers: number };

/**
 * Checks every instruction and opens every base image, pulling those that have to be, so that a build which can't end well
 * doesn't begin.
 *
 * @throws {@link BuilderError} `BUILDER_NO_SUCH_IMAGE`, `BUILDER_PULL_FAILED`, `BUILDER_UNSUPPORTED`
 */
export async function* openBases(
  plan: BuildPlan,
  options: Means,
): AsyncGenerator<BasePullEvent, ReadonlyMap<number, StageState>, void> {
  const means = { runStep: options.runStep };
  for (const node of plan.nodes) if (node.type === 'step') checkInstruction(node.instruction, means);
  const bases = new Map<number, StageState>();
  for (const node of plan.nodes) {
    if (node.type !== 'base') continue;
    const state = yield* openBaseOf(plan, node, options);
    bases.set(node.id, state);
    if (isStageBase(plan, node)) for (const trigger of triggersOf(state, node)) checkTrigger(trigger, means);
  }
  return bases;
}

async function* openBaseOf(
  plan: BuildPlan,
  node: BaseNode,
  options: Means,
): AsyncGenerator<BasePullEvent, StageState, void> {
  try {
    return yield* openBase(node, options);
  } catch (error) {
    const place = plan.nodes.find((other) => other.inputs.some((input) => input === node.id));
    if (!isBuilderError(error) || place === undefined || place.type === 'base') throw error;
    const at = place.type === 'step' ? place.instruction : plan.dockerfile.stages[place.stage]?.from;
    throw at === undefined ? error : errorAt(at, error.code, error.message);
  }
}

const isStageBase = (plan: BuildPlan, node: BaseNode): boolean =>
  plan.nodes.some((other) => other.type === 'stage' && other.inputs[0] === node.id);

/** Whether a base image's ONBUILD triggers read the build context. */
export const triggersUseContext = (plan: BuildPlan, bases: ReadonlyMap<number, StageState>): boolean =>
  plan.nodes.some((node) => {
    const state = node.type === 'base' && isStageBase(plan, node) ? bases.get(node.id) : undefined;
    return state !== undefined && triggersOf(state, node).some((trigger) => readsContext(trigger));
  });

const triggersOf = ({ settings }: StageState, node: PlanNode): readonly StageInstruction[] => {
  const name = node.type === 'base' && node.base.type === 'image' ? `ONBUILD of ${node.base.reference}` : 'ONBUILD';
  return (settings.config.OnBuild ?? []).map((expression) => parseTrigger(expression, name));
};

function checkTrigger(trigger: StageInstruction, means: Parameters<typeof checkInstruction>[1]): void {
  checkInstruction(trigger, means);
  if (fromNames(trigger).length > 0) {
    throw errorAt(trigger, 'BUILDER_UNSUPPORTED', 'an ONBUILD trigger that names another image is not supported yet');
  }
}

/** Carries out a plan, node after node, and returns the state of its output. */
export async function* execute(
  plan: BuildPlan,
  bases: ReadonlyMap<number, StageState>,
  options: ExecutionOptions,
): AsyncGenerator<StepEvent, StageState, void> {
  const states = new Map<number, StageState>(bases);
  const steps = plan.nodes.filter(({ type }) => type === 'step').length;
  let step = 0;
  for (const node of plan.nodes) {
    if (node.type === 'base') continue;
    if (node.type === 'stage') states.set(node.id, yield* startStage(plan, node, { states, options }));
    else {
      step += 1;
      const { text } = node.instruction;
      yield { type: 'step-started', step, steps, stage: stageName(plan, node), text };
      const state = yield* runNode(plan, node, { states, options, step });
      states.set(node.id, state);
      yield { type: 'step-done', step, layers: state.image.layers.length };
    }
  }
  return stateOf(states, plan.output);
}

const stageName = ({ dockerfile }: BuildPlan, { stage }: StepNode): string =>
  dockerfile.stages[stage]?.name ?? `stage-${String(stage)}`;

interface Progress {
  readonly states: ReadonlyMap<number, StageState>;
  readonly options: ExecutionOptions;
}

function stateOf(states: ReadonlyMap<number, StageState>, id: number): StageState {
  const state = states.get(id);
  if (state === undefined) throw new Error(`node ${String(id)} is used before it is carried out`);
  return state;
}

/** The base's triggers run at the front of the stage, as step 0, and are not inherited further. */
async function* startStage(
  plan: BuildPlan,
  node: StageNode,
  { states, options }: Progress,
): AsyncGenerator<StepEvent, StageState, void> {
  const base = stateOf(states, node.inputs[0]);
  let state = beginStage(base);
  const triggers = triggersOf(base, node);
  if (triggers.length === 0) return state;
  const settings = { ...state.settings, config: { ...state.settings.config, OnBuild: undefined } };
  state = withSettings(state, settings, { createdBy: 'ONBUILD', created: options.created });
  for (const trigger of triggers) {
    checkTrigger(trigger, { runStep: options.runStep });
    state = yield* instruct(state, trigger, { context: stepContext(plan, options, trigger), step: 0 });
  }
  return state;
}

async function* runNode(
  plan: BuildPlan,
  node: StepNode,
  { states, options, step }: Progress & { readonly step: number },
): AsyncGenerator<StepEvent, StageState, void> {
  const [parent, ...froms] = node.inputs.map((id) => stateOf(states, id));
  if (parent === undefined) throw new Error('a step without a parent');
  const context = { ...stepContext(plan, options, node.instruction), froms };
  const from = node.instruction.type === 'copy' ? froms[0] : undefined;
  const source =
    from === undefined ? context.source : await treeOf(from, fromNames(node.instruction)[0] ?? '', context);
  return yield* instruct(parent, node.instruction, { context: { ...context, source }, step });
}

function stepContext(plan: BuildPlan, options: ExecutionOptions, instruction: StageInstruction): StepContext {
  const { store, held, runStep, created, signal } = options;
  const { type } = instruction;
  const reads = type === 'add' || type === 'run' || (type === 'copy' && instruction.from === undefined);
  return {
    store,
    held,
    args: plan.args,
    escape: plan.dockerfile.directives.escape,
    source: reads ? options.context : undefined,
    froms: [],
    runStep,
    created,
    signal,
  };
}

async function* instruct(
  state: StageState,
  instruction: StageInstruction,
  { context, step }: { readonly context: StepContext; readonly step: number },
): AsyncGenerator<StepEvent, StageState, void> {
  const outputs = carryOut(state, instruction, context);
  try {
    for (;;) {
      const { done, value } = await outputs.next();
      if (done === true) return value;
      yield { type: 'step-output', step, stream: value.stream, bytes: value.bytes };
    }
  } catch (error) {
    if (isBuilderError(error) && error.line === undefined) throw errorAt(instruction, error.code, error.message);
    throw error;
  } finally {
    // Whoever reads the events may have left in the middle of a RUN.
    await outputs.return(state);
  }
}
