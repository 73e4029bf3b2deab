import { closeSync } from 'node:fs';

import { createNetns } from '@tsc/namespaces';
import { pidfd_open } from '@tsc/sys';

import { InheritedDescriptors, defaultSpec, execInContainer, startContainer } from '../src/index.ts';
import type {
  CgroupEntry,
  DefaultSpecOptions,
  KeptProcess,
  MonitorConnection,
  OciProcess,
  OciSpec,
  StartOptions,
} from '../src/index.ts';
import { BusyboxRoot } from './busybox-root.ts';

export interface ContainerOptions extends Partial<DefaultSpecOptions> {
  /** Changes the image before the container is made. */
  readonly image?: (root: BusyboxRoot) => void;
  /** Changes the configuration, with the image at hand. */
  readonly change?: (spec: OciSpec, root: BusyboxRoot) => OciSpec;
  readonly keep?: StartOptions['keep'];
  readonly windowSize?: StartOptions['windowSize'];
  readonly reap?: boolean;
  readonly cgroup?: CgroupEntry;
}

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A kept process with what it has said so far. */
export class Output {
  readonly kept: KeptProcess;
  #stdout = '';
  #stderr = '';
  #changed: PromiseWithResolvers<undefined> = Promise.withResolvers();

  constructor(kept: KeptProcess) {
    this.kept = kept;
    const { stdout, stderr } = kept.connection;
    stdout.on('data', (piece: Buffer) => {
      this.#stdout += piece.toString();
      this.#wake();
    });
    stderr.on('data', (piece: Buffer) => {
      this.#stderr += piece.toString();
    });
    void kept.connection.closed.then(() => {
      this.#wake();
    });
  }

  #wake(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers();
  }

  get connection(): MonitorConnection {
    return this.kept.connection;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** Waits until the process has said this. */
  async until(text: string): Promise<void> {
    const ended = this.connection.closed.then(() => true);
    while (!this.#stdout.includes(text)) {
      const over = await Promise.race([this.#changed.promise, ended]);
      if (over === true && !this.#stdout.includes(text)) throw new Error(`ended with: ${this.#stdout}${this.#stderr}`);
    }
  }

  async finished(): Promise<Finished> {
    const { exitCode } = await this.connection.exit;
    await this.connection.closed;
    return { exitCode, stdout: this.#stdout, stderr: this.#stderr };
  }
}

/** A container of the busybox image with the default configuration, except for what is asked. */
export class TestContainer extends Output implements AsyncDisposable {
  readonly spec: OciSpec;
  readonly root: BusyboxRoot;
  readonly #cleanup: DisposableStack;

  constructor(kept: KeptProcess, parts: { spec: OciSpec; root: BusyboxRoot; cleanup: DisposableStack }) {
    super(kept);
    this.spec = parts.spec;
    this.root = parts.root;
    this.#cleanup = parts.cleanup;
  }

  static async start(args: readonly string[], options: ContainerOptions = {}): Promise<TestContainer> {
    const { image, change, keep, windowSize, reap, cgroup, ...specOptions } = options;
    using undo = new DisposableStack();
    const root = undo.use(new BusyboxRoot());
    image?.(root);
    const plain = defaultSpec({ args, ...specOptions });
    const spec = change?.(plain, root) ?? plain;
    const mount = root.mount('container');
    const inherited = new InheritedDescriptors();
    try {
      const kept = await startContainer(spec, {
        inherited,
        rootfs: inherited.add(mount.fd),
        scratchDir: root.scratchDir,
        keep: { attached: true, ...keep },
        windowSize,
        reap,
        cgroup,
      });
      return new TestContainer(kept, { spec, root, cleanup: undo.move() });
    } finally {
      mount.close();
    }
  }

  /** A container that does nothing but wait. */
  static async idle(options: ContainerOptions = {}): Promise<TestContainer> {
    const container = await TestContainer.start(['sh', '-c', 'echo ready; exec sleep 1000'], options);
    await container.until('ready');
    return container;
  }

  get hostPid(): number {
    return this.kept.hostPid;
  }

  /** A further process, by default of the same kind as the first. */
  async exec(
    args: readonly string[],
    change: Partial<OciProcess> = {},
    keep: StartOptions['keep'] = {},
  ): Promise<Output> {
    const { process } = this.spec;
    if (process === undefined) throw new Error('the configuration has no process');
    const inherited = new InheritedDescriptors();
    const pidfd = pidfd_open(this.hostPid);
    try {
      const kept = await execInContainer(
        { ...process, ...change, args },
        {
          inherited,
          target: inherited.add(pidfd),
          keep: { attached: true, ...keep },
          seccompProfile: this.spec.linux?.seccomp,
          windowSize: { rows: 30, columns: 90 },
        },
      );
      return new Output(kept);
    } finally {
      closeSync(pidfd);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.signal(9);
    await this.connection.closed;
    this.#cleanup.dispose();
  }
}

/** Runs a command in a container of its own to its end. */
export async function run(args: readonly string[], options: ContainerOptions = {}): Promise<Finished> {
  await using container = await TestContainer.start(args, options);
  return await container.finished();
}

export const shell = (script: string, options: ContainerOptions = {}): Promise<Finished> =>
  run(['sh', '-c', script], options);

/** What is opened once and kept is opened before descriptors are counted. */
export async function warmUp(): Promise<void> {
  (await createNetns()).close();
  await run(['true']);
}
