import { availableParallelism, hostname, release, totalmem } from 'node:os';

import type { ImageStore, PruneOptions, PruneReport, RemoveReport } from '@tsc/image';

import type {
  CallOptions,
  Container,
  ContainerSummary,
  Engine,
  EngineInfo,
  RunningContainer,
  StartOptions,
} from './api.ts';
import { readAllRecords } from './cleaning.ts';
import { EngineContainer } from './container.ts';
import { findContainerId } from './container-name.ts';
import { writeContainerRecord } from './container-record.ts';
import type { ContainerSpec } from './container-spec.ts';
import { closeContext, openContext } from './context.ts';
import type { Context } from './context.ts';
import { measureDiskUsage } from './disk-usage.ts';
import type { DiskUsage } from './disk-usage.ts';
import { EngineError, refused } from './errors.ts';
import { removeImage } from './image-removal.ts';
import { summarise } from './inspection.ts';
import { DEFAULT_LAYOUT, containerPaths } from './layout.ts';
import type { Layout } from './layout.ts';
import { makeContainer } from './making.ts';
import { describeSystem } from './system-facts.ts';
import { observe } from './status.ts';

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
    try {
      await using made = await makeContainer(this.#context, spec, signal);
      writeContainerRecord(made.paths, made.record);
      made.keep();
      return new EngineContainer(this.#context, made.record.id);
    } catch (error) {
      throw refused('failed to create container', error);
    }
  }

  async run(spec: ContainerSpec, options: StartOptions = {}): Promise<RunningContainer> {
    try {
      await using made = await makeContainer(this.#context, spec, options.signal);
      const container = new EngineContainer(this.#context, made.record.id);
      const running = await container.startHeld(made.record, options);
      made.keep();
      return running;
    } catch (error) {
      throw refused('failed to create container', error);
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

  pruneImages(options: Omit<PruneOptions, 'inUse'> = {}): Promise<PruneReport> {
    const inUse = (): readonly string[] => readAllRecords(this.#context.layout).map(({ imageId }) => imageId);
    return this.images.prune({ ...options, inUse });
  }

  diskUsage(options?: CallOptions): Promise<DiskUsage> {
    return measureDiskUsage({ images: this.images, layout: this.#context.layout }, options);
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
    await closeContext(this.#context);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
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
