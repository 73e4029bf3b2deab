import type { Dockerfile, Stage, StageInstruction } from './ast.ts';
import { BuilderError } from './errors.ts';
import type { PlanBase, ResolvedStage } from './plan.ts';
import { errorAt, wordAt } from './source.ts';
import { suggestion } from './spelling.ts';

const stageNames = (dockerfile: Dockerfile): readonly string[] =>
  dockerfile.stages.map((stage) => stage.name).filter((name) => name !== undefined);

const isIndex = (text: string): boolean => /^\d{1,6}$/.test(text);

/**
 * The index of the stage to build.
 *
 * @throws {@link BuilderError} `BUILDER_STAGE_NOT_FOUND`
 */
export function findTarget(dockerfile: Dockerfile, target: string | undefined): number {
  if (target === undefined || target === '') return dockerfile.stages.length - 1;
  const named = dockerfile.stages.findLast((stage) => stage.name === target.toLowerCase());
  const found = named ?? (isIndex(target) ? dockerfile.stages[Number(target)] : undefined);
  if (found !== undefined) return found.index;
  const names = stageNames(dockerfile);
  const file = dockerfile.source.name;
  const known = names.length === 0 ? 'it names no stages' : `it has ${names.join(', ')}`;
  const hint = suggestion(target, names) || `, ${known}`;
  throw new BuilderError('BUILDER_STAGE_NOT_FOUND', `${file}: no stage ${target}${hint}`, { file });
}

/**
 * What a `--from` means: a stage, by name or index, or else an image. An earlier stage comes before a later one of the
 * same name.
 *
 * @throws {@link BuilderError} `BUILDER_STAGE_NOT_FOUND`: an index that is not there; `BUILDER_UNSUPPORTED`: a variable
 */
export function findSource(
  { stages }: Dockerfile,
  {
    stage,
    instruction,
    name,
  }: { readonly stage: Stage; readonly instruction: StageInstruction; readonly name: string },
): PlanBase | number {
  if (name.includes('$')) {
    const what = `a variable can't name a source: use FROM ${name} AS x with a global ARG, and from=x`;
    throw errorAt(wordAt(instruction, name), 'BUILDER_UNSUPPORTED', what);
  }
  const lower = name.toLowerCase();
  const named =
    stages.slice(0, stage.index).findLast((other) => other.name === lower) ??
    stages.find((other) => other.name === lower);
  if (named !== undefined) return named.index;
  if (lower === 'scratch') return { type: 'scratch' };
  if (!isIndex(name)) return { type: 'image', reference: name };
  const indexed = stages[Number(name)];
  if (indexed !== undefined) return indexed.index;
  throw errorAt(wordAt(instruction, name), 'BUILDER_STAGE_NOT_FOUND', `no stage ${name}, there are ${stages.length}`);
}

/**
 * The stages that a target needs, each after those that it needs itself.
 *
 * @throws {@link BuilderError} `BUILDER_STAGE_CYCLE`, and what resolving a needed stage found
 */
export function neededStages(stages: readonly ResolvedStage[], target: number): readonly ResolvedStage[] {
  const done: ResolvedStage[] = [];
  const state = new Map<number, 'open' | 'done'>();
  // A stack of our own: a hostile file may chain thousands of stages.
  const stack: { readonly index: number; readonly needs: number[] }[] = [];
  const open = (index: number): void => {
    const resolved = stages[index];
    if (resolved === undefined || state.get(index) === 'done') return;
    if (resolved.problem !== undefined) throw resolved.problem;
    if (state.get(index) === 'open') {
      const { name, from } = resolved.stage;
      throw errorAt(wordAt(from, name), 'BUILDER_STAGE_CYCLE', `stage ${name ?? index} needs itself`);
    }
    state.set(index, 'open');
    stack.push({ index, needs: needsOf(resolved) });
  };
  open(target);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const next = top.needs.pop();
    if (next !== undefined) open(next);
    else {
      stack.pop();
      state.set(top.index, 'done');
      const resolved = stages[top.index];
      if (resolved !== undefined) done.push(resolved);
    }
  }
  return done;
}

const needsOf = ({ base, froms }: ResolvedStage): number[] =>
  [base, ...froms.flat()].filter((source) => typeof source === 'number').reverse();
