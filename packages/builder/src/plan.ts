import type { Dockerfile, Stage, StageInstruction } from './ast.ts';
import { platformArgs, PROXY_ARGS, resolveGlobalArgs } from './build-args.ts';
import type { BuildArgs } from './build-args.ts';
import { BuilderError, isBuilderError } from './errors.ts';
import { expandWord, unsetVariables } from './expansion.ts';
import { hostPlatform, parsePlatform } from './platform.ts';
import type { BuildPlatform } from './platform.ts';
import { errorAt, wordAt } from './source.ts';
import { suggestion } from './spelling.ts';
import { findSource, findTarget, neededStages } from './stage-graph.ts';

export interface PlanOptions {
  /** A stage's name or index; the last stage unless told. */
  readonly target?: string | undefined;
  readonly buildArgs?: ReadonlyMap<string, string> | undefined;
  /** `linux/arm64`; the machine's unless told. */
  readonly platform?: string | undefined;
  /** What BUILDPLATFORM says; the machine's unless told. */
  readonly buildPlatform?: string | undefined;
}

/** Where a stage begins. */
export type PlanBase = { readonly type: 'scratch' } | { readonly type: 'image'; readonly reference: string };

/** An image, or nothing, at the root of the graph. */
export interface BaseNode {
  readonly type: 'base';
  readonly id: number;
  readonly base: PlanBase;
  readonly platform: BuildPlatform;
  readonly inputs: readonly [];
}

/** One instruction. `inputs[0]` is what it is carried out on; the others are what it copies or mounts from. */
export interface StepNode {
  readonly type: 'step';
  readonly id: number;
  readonly stage: number;
  readonly instruction: StageInstruction;
  readonly platform: BuildPlatform;
  readonly inputs: readonly [parent: number, ...froms: readonly number[]];
}

/** The start of a stage: forgets the ARGs of the stage before, and runs the base's ONBUILD triggers. */
export interface StageNode {
  readonly type: 'stage';
  readonly id: number;
  readonly stage: number;
  readonly name: string | undefined;
  readonly platform: BuildPlatform;
  readonly inputs: readonly [base: number];
}

export type PlanNode = BaseNode | StageNode | StepNode;

/** What a build does: nodes after all of their inputs, and nothing that the target does not need. */
export interface BuildPlan {
  readonly dockerfile: Dockerfile;
  readonly nodes: readonly PlanNode[];
  /** The node whose result is the image. */
  readonly output: number;
  readonly platform: BuildPlatform;
  readonly args: BuildArgs;
  /** Whether a step reads the build context. */
  readonly usesContext: boolean;
  readonly warnings: readonly string[];
}

/**
 * Plans a build. Pure: it reads no file, no image and no clock.
 *
 * @throws {@link BuilderError} `BUILDER_STAGE_NOT_FOUND`, `BUILDER_STAGE_CYCLE`, `BUILDER_BAD_PLATFORM`,
 *   `BUILDER_EXPANSION`: a FROM whose variables don't make a name, `BUILDER_UNSUPPORTED`: another `# syntax=`,
 *   `BUILDER_CHECK`: `# check=error=true` and a warning
 * @example planStages(parseDockerfile(text), { target: 'test' }).nodes.length
 */
export function planStages(dockerfile: Dockerfile, options: PlanOptions = {}): BuildPlan {
  checkSyntax(dockerfile);
  const given = options.buildArgs ?? new Map<string, string>();
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  const build = options.buildPlatform === undefined ? hostPlatform() : parsePlatform(options.buildPlatform);
  const { escape } = dockerfile.directives;
  const predefined = platformArgs(platform, build);
  const global = resolveGlobalArgs(dockerfile.globalArgs, { given, predefined, escape });
  const target = findTarget(dockerfile, options.target);
  const stages = dockerfile.stages.map((stage) => resolveStage(dockerfile, stage, { global, platform }));
  const needed = neededStages(stages, target);
  const { nodes, output } = layOut(needed, target);
  return {
    dockerfile,
    nodes,
    output,
    platform,
    args: { given, global },
    usesContext: nodes.some((node) => node.type === 'step' && readsContext(node.instruction)),
    warnings: [...checkedWarnings(dockerfile), ...unusedArgs(dockerfile, given)],
  };
}

/** A stage whose names are resolved: to other stages by index, or to images. */
export interface ResolvedStage {
  readonly stage: Stage;
  readonly base: PlanBase | number;
  readonly platform: BuildPlatform;
  /** For each instruction, what its `--from` names, in order. */
  readonly froms: readonly (readonly (PlanBase | number)[])[];
  /** Instructions that name something the plan can't find; thrown only if the stage is needed. */
  readonly problem: BuilderError | undefined;
}

interface FromScope {
  readonly global: ReadonlyMap<string, string>;
  readonly platform: BuildPlatform;
}

function resolveStage(dockerfile: Dockerfile, stage: Stage, scope: FromScope): ResolvedStage {
  const nothing = { stage, base: { type: 'scratch' }, platform: scope.platform, froms: [] } as const;
  try {
    const base = resolveBase(dockerfile, stage, scope.global);
    const platform = resolvePlatform(dockerfile, stage, scope);
    const froms = stage.instructions.map((instruction) =>
      fromNames(instruction).map((name) => findSource(dockerfile, { stage, instruction, name })),
    );
    return { stage, base, platform, froms, problem: undefined };
  } catch (error) {
    if (!isBuilderError(error)) throw error;
    return { ...nothing, problem: error };
  }
}

/** Says where an expansion failed: the expansion itself knows only the word. */
export function expandAt(
  place: Parameters<typeof errorAt>[0],
  word: string,
  scope: Parameters<typeof expandWord>[1],
): string {
  try {
    return expandWord(word, scope);
  } catch (error) {
    if (!isBuilderError(error)) throw error;
    throw errorAt(wordAt(place, word), error.code, error.message);
  }
}

function resolveBase(dockerfile: Dockerfile, stage: Stage, global: ReadonlyMap<string, string>): PlanBase | number {
  const scope = { variables: global, escape: dockerfile.directives.escape };
  const name = expandAt(stage.from, stage.from.image, scope);
  if (name === '') {
    const unset = [...unsetVariables(stage.from.image, scope)].join(', ');
    const hint = unset === '' ? '' : `, ${unset} has no value${suggestion(unset, global.keys())}`;
    throw errorAt(
      wordAt(stage.from, stage.from.image),
      'BUILDER_EXPANSION',
      `FROM ${stage.from.image} names no image${hint}`,
    );
  }
  if (name === 'scratch') return { type: 'scratch' };
  const earlier = dockerfile.stages.slice(0, stage.index).findLast((other) => other.name === name.toLowerCase());
  return earlier?.index ?? { type: 'image', reference: name };
}

function resolvePlatform(dockerfile: Dockerfile, { from }: Stage, { global, platform }: FromScope): BuildPlatform {
  if (from.platform === undefined) return platform;
  const text = expandAt(from, from.platform, { variables: global, escape: dockerfile.directives.escape });
  try {
    return parsePlatform(text);
  } catch (error) {
    if (!isBuilderError(error)) throw error;
    throw errorAt(wordAt(from, from.platform), error.code, error.message);
  }
}

/** What an instruction reads besides the stage that it stands in. */
export function fromNames(instruction: StageInstruction): readonly string[] {
  if (instruction.type === 'copy') return instruction.from === undefined ? [] : [instruction.from];
  if (instruction.type !== 'run') return [];
  return instruction.mounts.map((mount) => mount.options.get('from')).filter((from) => from !== undefined);
}

/** Whether an instruction reads files of the build context. */
export function readsContext(instruction: StageInstruction): boolean {
  if (instruction.type === 'run')
    return instruction.mounts.some((mount) => mount.type === 'bind' && !mount.options.has('from'));
  const files = instruction.type === 'add' || (instruction.type === 'copy' && instruction.from === undefined);
  return files && instruction.sources.some((source) => source.type === 'path');
}

function layOut(
  stages: readonly ResolvedStage[],
  target: number,
): { readonly nodes: readonly PlanNode[]; readonly output: number } {
  const nodes: PlanNode[] = [];
  const outputs = new Map<number, number>();
  const bases = new Map<string, number>();
  const baseNode = (base: PlanBase, platform: BuildPlatform): number => {
    const key = JSON.stringify([base, platform]);
    const known = bases.get(key);
    if (known !== undefined) return known;
    const id = nodes.push({ type: 'base', id: nodes.length, base, platform, inputs: [] }) - 1;
    bases.set(key, id);
    return id;
  };
  const idOf = (source: PlanBase | number, platform: BuildPlatform): number =>
    typeof source === 'number' ? outputOf(outputs, source) : baseNode(source, platform);
  for (const { stage, base, platform, froms } of stages) {
    const start = idOf(base, platform);
    let parent = nodes.length;
    nodes.push({ type: 'stage', id: parent, stage: stage.index, name: stage.name, platform, inputs: [start] });
    for (const [index, instruction] of stage.instructions.entries()) {
      const sources = (froms[index] ?? []).map((source) => idOf(source, platform));
      const id = nodes.length;
      nodes.push({ type: 'step', id, stage: stage.index, instruction, platform, inputs: [parent, ...sources] });
      parent = id;
    }
    outputs.set(stage.index, parent);
  }
  return { nodes, output: outputOf(outputs, target) };
}

function outputOf(outputs: ReadonlyMap<number, number>, stage: number): number {
  const id = outputs.get(stage);
  if (id === undefined) throw new Error(`stage ${stage} is used before it is planned`);
  return id;
}

/** Obeys `# check=`: rules to skip, and whether what is left is an error. */
function checkedWarnings({ directives, source, warnings }: Dockerfile): readonly string[] {
  const skip = directives.check?.skip ?? [];
  const kept = skip.includes('all') ? [] : warnings.filter(({ rule }) => !skip.includes(rule));
  const [first] = kept;
  if (first !== undefined && directives.check?.error === true) {
    throw errorAt({ source, range: first.range }, 'BUILDER_CHECK', `${first.rule}: ${first.message}`);
  }
  return kept.map(({ message, range }) => `line ${String(range.startLine)}: ${message}`);
}

/**
 * The frontend that `# syntax=` asks for has to be the one that is built in.
 *
 * @throws {@link BuilderError} `BUILDER_UNSUPPORTED`
 */
function checkSyntax({ directives, source }: Dockerfile): void {
  const { syntax } = directives;
  if (syntax === undefined) return;
  const name = syntax.replace(/^docker\.io\//, '').split(/[:@]/, 1)[0];
  if (name === 'docker/dockerfile' || name === 'docker/dockerfile-upstream') return;
  const line = 1 + source.lines.findIndex((text) => text.includes(syntax));
  const place = { source, range: { startLine: line, endLine: line }, word: syntax };
  throw errorAt(place, 'BUILDER_UNSUPPORTED', `the syntax ${syntax} is not built in, only docker/dockerfile is`);
}

function unusedArgs(dockerfile: Dockerfile, given: ReadonlyMap<string, string>): readonly string[] {
  const declared = new Set([...PROXY_ARGS, ...platformArgs(hostPlatform(), hostPlatform()).keys()]);
  for (const instruction of [...dockerfile.globalArgs, ...dockerfile.stages.flatMap((stage) => stage.instructions)]) {
    if (instruction.type === 'arg') for (const { name } of instruction.args) declared.add(name);
  }
  return [...given.keys()]
    .filter((name) => !declared.has(name))
    .map((name) => `no ARG takes up the build argument ${name}${suggestion(name, declared)}`);
}
