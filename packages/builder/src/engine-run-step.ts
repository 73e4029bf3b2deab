import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, posix } from 'node:path';
import { isEngineError } from '@tsc/engine';
import type { Container, ContainerSpec, Engine, MountSpec, NetworkMode, RunningContainer } from '@tsc/engine';
import { unpackArchive } from '@tsc/image';
import type { RunInstruction } from './ast.ts';
import { BuilderError } from './errors.ts';
import { mergeOutput } from './output-stream.ts';
import type { RunEvent, RunRequest, RunRequestMount, RunStep } from './run-step.ts';

export interface EngineRunStepOptions {
  /** The network of a RUN that asks for none by name; `bridge` unless told. */
  readonly network?: NetworkMode | undefined;
  /** What a Dockerfile may ask for besides; nothing unless told. */
  readonly allow?: readonly 'network.host'[] | undefined;
}

/**
 * Carries out RUN in containers of an engine: each in one of its own, which is gone when the step is over, however it ends.
 * Only what the Dockerfile says reaches it: its environment has nothing of the caller's, and its files are the stage's.
 *
 * Supported are `--network`, `--mount=type=tmpfs` and `--mount=type=bind`; what is mounted is a copy, which RUN can read, and
 * write with `rw`, and nobody sees what it wrote. Refused before the build begins are `--security=insecure`, `--device`, the
 * other mounts, and `--network=host` without `allow`.
 *
 * @throws {@link BuilderError} `BUILDER_UNSUPPORTED`; `BUILDER_RUN_FAILED`: the command isn't there or can't be run
 * @remarks Privilege: root, as the engine.
 */
export function engineRunStep(engine: Engine, options: EngineRunStepOptions = {}): RunStep {
  const refuse = (instruction: Wishes): string | undefined => refusal(instruction, options);
  return Object.assign(
    (request: RunRequest, { signal }: { readonly signal: AbortSignal | undefined }) => {
      const why = refuse(request);
      if (why !== undefined) throw new BuilderError('BUILDER_UNSUPPORTED', why);
      return carryOut(engine, request, { ...options, signal });
    },
    { refuse },
  );
}

/** What an instruction and the request that is made of it have in common. */
type Wishes = Pick<RunInstruction, 'network' | 'security' | 'devices' | 'mounts'>;

function refusal({ network, security, devices, mounts }: Wishes, options: EngineRunStepOptions): string | undefined {
  if (security !== 'sandbox')
    return 'RUN --security=insecure is not supported: a build gets no more rights than a container';
  if (devices.length > 0) return 'RUN --device is not supported yet';
  if (network === 'host' && options.network !== 'host' && options.allow?.includes('network.host') !== true) {
    return 'RUN --network=host is not allowed: allow network.host for this build';
  }
  const mount = mounts.find(({ type }) => type !== 'tmpfs' && type !== 'bind');
  return mount === undefined ? undefined : `RUN --mount=type=${mount.type} is not supported yet`;
}

interface CarryOutOptions extends EngineRunStepOptions {
  readonly signal: AbortSignal | undefined;
}

async function* carryOut(
  engine: Engine,
  request: RunRequest,
  options: CarryOutOptions,
): AsyncGenerator<RunEvent, void, void> {
  const { signal } = options;
  signal?.throwIfAborted();
  await using undo = new AsyncDisposableStack();
  const mounts: MountSpec[] = [];
  for (const mount of request.mounts) mounts.push(await mountSpec(engine, { mount, request, signal, undo }));
  const container = await engine.createContainer(containerSpec(request, mounts, options), { signal });
  undo.defer(() => container.remove({ force: true, volumes: true }));
  const running = await start(container, signal);
  const { attachment } = running;
  if (attachment?.stderr === undefined) throw new Error('a container that was started attached has no streams');
  // A monitor whose output nobody takes would wait for ever, and the container with it.
  undo.defer(() => {
    attachment.detach();
  });
  yield* mergeOutput({ stdout: attachment.stdout, stderr: attachment.stderr }, signal);
  const exitCode = await running.wait({ signal });
  const layer = exitCode === 0 ? await container.changes({ signal }) : undefined;
  yield { type: 'finished', exitCode, layer };
}

async function start(container: Container, signal: AbortSignal | undefined): Promise<RunningContainer> {
  try {
    return await container.start({ attach: true, signal });
  } catch (error) {
    if (!isEngineError(error)) throw error;
    if (error.code !== 'ENGINE_COMMAND_NOT_FOUND' && error.code !== 'ENGINE_COMMAND_NOT_EXECUTABLE') throw error;
    throw new BuilderError('BUILDER_RUN_FAILED', error.message, { cause: error });
  }
}

const containerSpec = (
  request: RunRequest,
  mounts: readonly MountSpec[],
  { network = 'bridge' }: EngineRunStepOptions,
): ContainerSpec => ({
  image: request.imageId,
  entrypoint: [],
  command: request.argv,
  env: request.env,
  workingDir: request.workingDir,
  user: request.user,
  // A random name would make every build another one.
  hostname: 'build',
  network: request.network === 'default' ? network : request.network,
  mounts,
  log: { driver: 'none' },
  labels: { 'tsc.build': '' },
});

interface MountWork {
  readonly mount: RunRequestMount;
  readonly request: RunRequest;
  readonly signal: AbortSignal | undefined;
  readonly undo: AsyncDisposableStack;
}

async function mountSpec(engine: Engine, work: MountWork): Promise<MountSpec> {
  const { mount, request } = work;
  const target = posix.resolve('/', request.workingDir, mount.options.get('target') ?? '');
  if (mount.type === 'tmpfs') return { type: 'tmpfs', target, sizeBytes: sizeOf(mount), options: ['exec'] };
  return { type: 'bind', source: await unpackFiles(engine, work), target, readOnly: !isWritable(mount) };
}

/** A copy of what is mounted, below the engine's root, which is root's alone. */
async function unpackFiles(engine: Engine, { mount, signal, undo }: MountWork): Promise<string> {
  const files = await mount.open?.(signal);
  if (files === undefined) throw new BuilderError('BUILDER_UNSUPPORTED', `RUN --mount=type=${mount.type} has no files`);
  const dir = mkdtempSync(join(engine.rootDir, 'build-mount-'));
  undo.defer(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  const tree = join(dir, 'tree');
  mkdirSync(tree);
  chmodSync(tree, 0o755);
  await unpackArchive(files.layer.open(), tree, { applyRoot: true, signal });
  return files.type === 'file' ? join(tree, 'file') : tree;
}

const isTrue = (word: string | undefined): boolean => word === 'true' || word === '1';

const isWritable = ({ options }: RunRequestMount): boolean =>
  isTrue(options.get('rw')) || ['false', '0'].includes(options.get('ro') ?? '');

const UNITS = ['', 'k', 'm', 'g', 't'];

/** `64m`, `1.5g`, `1024`: binary, as in `-m`. */
function sizeOf({ options }: RunRequestMount): number | undefined {
  const text = options.get('size');
  if (text === undefined) return undefined;
  const match = /^(\d{1,12}(?:\.\d{1,6})?)([kmgt]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw new BuilderError('BUILDER_SYNTAX', `size is a number of bytes such as 64m, not ${text}`);
  return Math.floor(Number(match[1]) * 1024 ** UNITS.indexOf((match[2] ?? '').toLowerCase()));
}
