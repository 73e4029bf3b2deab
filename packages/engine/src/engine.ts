import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { availableParallelism, hostname, release, totalmem } from 'node:os';

import type { ImageStore, RemoveReport } from '@tsc/image';
import { createSnapshot } from '@tsc/overlay';
import type { SnapshotOptions } from '@tsc/overlay';

import type {
  CallOptions,
  Container,
  ContainerSummary,
  Engine,
  EngineInfo,
  RunningContainer,
  StartOptions,
} from './api.ts';
import { readAllRecords, sweepLeases } from './cleaning.ts';
import { EngineContainer } from './container.ts';
import { findContainerId, makeContainerId, releaseName, takeGeneratedName, takeName } from './container-name.ts';
import { writeContainerRecord } from './container-record.ts';
import type { ContainerSpec } from './container-spec.ts';
import { openContext } from './context.ts';
import type { Context } from './context.ts';
import { checkSpec, collectMounts, makeRecord } from './creation.ts';
import { EngineError } from './errors.ts';
import { removeImage } from './image-removal.ts';
import { summarise } from './inspection.ts';
import { DEFAULT_LAYOUT, containerPaths } from './layout.ts';
import type { Layout } from './layout.ts';
import { lock } from './lock.ts';
import { describeSystem } from './system-facts.ts';
import { observe } from './status.ts';
import { resolveMounts } from './volumes.ts';

export interface EngineOptions {
  /** What has to survive a reboot: images, containers, volumes. `/var/lib/tsc` when absent. */
  readonly rootDir?: string | undefined;
  /** What must not: sockets, locks. `/run/tsc` when absent. */
  readonly runDir?: string | undefined;
}

class LocalEngine implements Engine {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  get rootDir(): string {
    return this.#context.layout.rootDir;
  }

  get runDir(): string {
    return this.#context.layout.runDir;
  }

  get images(): ImageStore {
    return this.#context.images;
  }

  async createContainer(spec: ContainerSpec, { signal }: CallOptions = {}): Promise<Container> {
    signal?.throwIfAborted();
    checkSpec(spec, availableParallelism());
    const image = await this.images.resolve(spec.image);
    const wanted = collectMounts(spec, image);
    const id = makeContainerId();
    const paths = containerPaths(this.#context.layout, id);
    await using undo = new AsyncDisposableStack();
    mkdirSync(paths.dir, { mode: 0o700 });
    undo.defer(() => {
      rmSync(paths.dir, { recursive: true, force: true });
    });
    // Held until the record is there: a directory without one that nobody holds is what a kill has left.
    using _held = await lock(paths.lock, { signal });
    const name = spec.name ?? takeGeneratedName(this.#context.layout, id);
    if (spec.name !== undefined) takeName(this.#context.layout, spec.name, id);
    undo.defer(() => {
      releaseName(this.#context.layout, name, id);
    });
    createSnapshot(paths.dir, rootOf(image.layerDirs));
    const parts = { id, name, spec, image, mounts: [], created: new Date() };
    makeRecord(parts); // refuses what can't be run before volumes are made
    const mounts = resolveMounts(this.#context.layout, wanted);
    writeContainerRecord(paths, makeRecord({ ...parts, mounts }));
    undo.move();
    return new EngineContainer(this.#context, id);
  }

  async run(spec: ContainerSpec, options: StartOptions = {}): Promise<RunningContainer> {
    const container = await this.createContainer(spec, { signal: options.signal });
    try {
      return await container.start(options);
    } catch (error) {
      await container.remove({ force: true, volumes: true });
      throw error;
    }
  }

  container(reference: string): Container {
    return new EngineContainer(this.#context, findContainerId(this.#context.layout, reference));
  }

  listContainers({ all = false }: { readonly all?: boolean | undefined } = {}): readonly ContainerSummary[] {
    return readAllRecords(this.#context.layout)
      .map((record) => summarise(record, observe(containerPaths(this.#context.layout, record.id), record)))
      .filter(({ status }) => all || status === 'running' || status === 'restarting')
      .toSorted((a, b) => b.created.getTime() - a.created.getTime());
  }

  removeImage(
    reference: string,
    options?: CallOptions & { readonly force?: boolean | undefined },
  ): Promise<RemoveReport> {
    return removeImage({ images: this.images, containers: this.listContainers({ all: true }) }, reference, options);
  }

  async info(): Promise<EngineInfo> {
    const containers = this.listContainers({ all: true });
    const running = containers.filter(({ status }) => status === 'running').length;
    const { layout, host } = this.#context;
    return {
      rootDir: layout.rootDir,
      containers: containers.length,
      containersRunning: running,
      containersStopped: containers.length - running,
      images: (await this.images.list()).length,
      cgroupMode: host.cgroups.mode,
      cgroupControllers: Object.keys(host.cgroups.controllers),
      storageDriver: 'overlay2',
      firewallBackend: 'nftables',
      kernelVersion: release(),
      cpus: availableParallelism(),
      memoryBytes: totalmem(),
      hostname: hostname(),
      ...describeSystem(host),
    };
  }

  async close(): Promise<void> {
    await sweepLeases(this.#context);
    await this.#context.network.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What the image's own root is like, as which the container's has to begin: it is the top one that is seen. */
function rootOf([topLayerDir]: readonly string[]): SnapshotOptions {
  if (topLayerDir === undefined) return {};
  const { mode, uid, gid } = lstatSync(topLayerDir);
  return { mode: mode & 0o7777, owner: { uid, gid } };
}

/**
 * Opens an engine on a root directory, making it if it isn't there. Cheap: it reads nothing but one small file.
 *
 * @throws EngineError `ENGINE_NOT_ROOT`
 * @remarks Privilege: root.
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  if (process.getuid?.() !== 0) {
    throw new EngineError('ENGINE_NOT_ROOT', 'this needs root: namespaces, mounts and cgroups are made');
  }
  const layout: Layout = {
    rootDir: options.rootDir ?? DEFAULT_LAYOUT.rootDir,
    runDir: options.runDir ?? DEFAULT_LAYOUT.runDir,
  };
  return new LocalEngine(await openContext(layout));
}
