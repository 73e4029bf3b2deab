import { withConfig } from '@tsc/image';
import type { Image } from '@tsc/image';
import type { BasePullEvent, PullBase, PullPolicy } from './base-pull.ts';
import { openContext, readDockerfile } from './context.ts';
import type { DockerfileText } from './context.ts';
import { parseDockerfile } from './dockerfile.ts';
import { BuilderError } from './errors.ts';
import { execute, openBases, triggersUseContext } from './execution.ts';
import type { StepEvent } from './execution.ts';
import { HeldImages } from './held-images.ts';
import { planStages } from './plan.ts';
import type { RunStep } from './run-step.ts';
import type { BuildStore } from './stage-state.ts';

export interface BuildOptions {
  /** What COPY and ADD read from; needed if the Dockerfile copies from it, or is read from it. */
  readonly contextDir?: string | undefined;
  /** Path of the Dockerfile, below the context unless absolute; `Dockerfile` unless told. */
  readonly dockerfile?: string | undefined;
  /** The Dockerfile itself, instead of a path. */
  readonly dockerfileText?: string | undefined;
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  /** `linux/amd64`; the machine's unless told. */
  readonly platform?: string | undefined;
  /** Names for the image. */
  readonly tags?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Where base images are, and where the image goes. */
  readonly store: BuildStore;
  /** What brings base images from elsewhere; without it, there are those of the store only. */
  readonly pull?: PullBase | undefined;
  /** `missing` unless told: images that the store has for the platform are not looked for elsewhere. */
  readonly pullPolicy?: PullPolicy | undefined;
  /** What carries out RUN; without it, a Dockerfile that needs RUN is refused. */
  readonly runStep?: RunStep | undefined;
  /**
   * The date of the image and its files. Unless told, or the build argument `SOURCE_DATE_EPOCH` says, files are of 1970 and the
   * image has its base's date: so equal inputs make equal images on every day.
   */
  readonly created?: Date | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a build tells while it goes on: pulls come before `planned`, and the last event is `built`. */
export type BuildEvent =
  | { readonly type: 'planned'; readonly steps: number; readonly warnings: readonly string[] }
  | BasePullEvent
  | StepEvent
  | {
      readonly type: 'built';
      readonly imageId: string;
      readonly manifestDigest: string;
      readonly names: readonly string[];
      readonly image: Image;
    };

/**
 * Builds an image from a Dockerfile and stores it.
 *
 * The whole file is parsed, planned and checked first, and every base image is looked up, so that what can't work is refused
 * before anything is done. A build that fails or is aborted leaves no image, but for the base images that it pulled.
 *
 * @throws {@link BuilderError} see the README for the codes; {@link ImageError} from the store
 * @remarks Privilege: what `store.write` needs, which is root; none for the rest, RUN aside.
 * @example
 * for await (const event of build({ contextDir: '.', tags: ['hello'], store })) {
 *   if (event.type === 'built') use(event.imageId);
 * }
 */
export async function* build(options: BuildOptions): AsyncGenerator<BuildEvent, void, void> {
  options.signal?.throwIfAborted();
  const source = readSource(options);
  const buildArgs = new Map(Object.entries(options.buildArgs ?? {}));
  const plan = planStages(parseDockerfile(source.text, { file: source.name }), {
    target: options.target,
    platform: options.platform,
    buildArgs,
  });
  const means = {
    store: options.store,
    pull: options.pull,
    pullPolicy: options.pullPolicy ?? 'missing',
    runStep: options.runStep,
    created: epochOf(buildArgs) ?? options.created,
    signal: options.signal,
  };
  const bases = yield* openBases(plan, means);
  const usesContext = plan.usesContext || triggersUseContext(plan, bases);
  const context = usesContext ? openContext(requireContext(options), source.path) : undefined;
  const steps = plan.nodes.filter((node) => node.type === 'step').length;
  yield { type: 'planned', steps, warnings: plan.warnings };
  await using held = new HeldImages(options.store);
  const output = yield* execute(plan, bases, { ...means, context, held });
  const image = labelled(output.image, options.labels);
  const stored = await options.store.write(image, { names: options.tags, signal: options.signal });
  yield { type: 'built', imageId: stored.id, manifestDigest: stored.manifestDigest, names: stored.names, image };
}

function labelled(image: Image, labels: Readonly<Record<string, string>> | undefined): Image {
  if (labels === undefined || Object.keys(labels).length === 0) return image;
  const before = image.config.config?.Labels ?? {};
  return withConfig(image, {
    config: { Labels: Object.fromEntries([...Object.entries(before), ...Object.entries(labels)]) },
  });
}

function readSource(options: BuildOptions): DockerfileText {
  if (options.dockerfileText !== undefined)
    return { text: options.dockerfileText, name: 'Dockerfile', path: undefined };
  return readDockerfile(requireContext(options), options.dockerfile);
}

function requireContext({ contextDir }: BuildOptions): string {
  if (contextDir !== undefined) return contextDir;
  throw new BuilderError('BUILDER_CONTEXT', 'this build needs a context: pass contextDir to build()');
}

function epochOf(buildArgs: ReadonlyMap<string, string>): Date | undefined {
  const text = buildArgs.get('SOURCE_DATE_EPOCH');
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,11}$/.test(text)) return new Date(Number(text) * 1000);
  throw new BuilderError('BUILDER_SYNTAX', `SOURCE_DATE_EPOCH is a number of seconds, not ${text}`);
}
