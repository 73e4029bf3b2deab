import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { Cgroup } from '@tsc/cgroups';
import { isCgroupError } from '@tsc/cgroups';
import {
  OCI_LAYER,
  appendLayer,
  applyChanges,
  layerFromMembers,
  packLayer,
  parseReference,
  withConfig,
} from '@tsc/image';
import type { ContainerDefaults, Image, Layer } from '@tsc/image';

import type { CommitOptions } from './api.ts';
import { cgroupPath, findCgroup } from './cgroup.ts';
import type { ContainerRecord } from './container-record.ts';
import type { Context } from './context.ts';
import type { ContainerPaths } from './layout.ts';
import { upperMembers } from './upper-layer.ts';

export interface CommitParts {
  readonly context: Context;
  readonly paths: ContainerPaths;
  readonly record: ContainerRecord;
}

/** Makes an image of a container that doesn't run, and isn't started meanwhile: the caller holds its lock. */
export async function commitStopped(parts: CommitParts, options: CommitOptions): Promise<string> {
  const image = await prepare(parts, options);
  const layer = await layerFromMembers(() => upperMembers(parts.paths, parts.record), { signal: options.signal });
  return store(parts, options, { image, layer });
}

/**
 * Makes an image of a running container. Its changes are first written to a file, so that it stands still no longer than
 * they are read once, and so that storing them reads the same bytes again.
 */
export async function commitRunning(parts: CommitParts, options: CommitOptions): Promise<string> {
  const image = await prepare(parts, options);
  const file = join(parts.paths.dir, `commit-${randomUUID()}.tar`);
  try {
    const layer = await spool(parts, file, options);
    return await store(parts, options, { image, layer });
  } finally {
    rmSync(file, { force: true });
  }
}

/** The image without the new layer: refuses what is wrong with the request before anything is done. */
async function prepare({ context, record }: CommitParts, options: CommitOptions): Promise<Image> {
  if (options.reference !== undefined) parseReference(options.reference);
  const image = await context.images.image(record.imageId);
  const config = applyChanges(settingsOf(record, image.config.config ?? {}), options.changes ?? []);
  const author = options.author ?? image.config.author;
  // What a change takes away (a new ENTRYPOINT the Cmd) is a member that is missing: say so, or the image's own stays.
  const gone = Object.fromEntries(Object.keys(image.config.config ?? {}).map((key) => [key, undefined]));
  return withConfig(image, { created: new Date().toISOString(), author, config: { ...gone, ...config } });
}

/** What the container was made with, as the defaults of the next one: Docker does so, too. */
function settingsOf(
  { process: command, spec, labels }: ContainerRecord,
  defaults: ContainerDefaults,
): ContainerDefaults {
  const hasPath = [...(defaults.Env ?? []), ...(spec.env ?? [])].some((entry) => /^PATH(?:=|$)/.test(entry));
  const ports = (spec.ports ?? []).map(({ containerPort, protocol }) => `${String(containerPort)}/${protocol}`);
  const exposed = { ...defaults.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
  return {
    ...defaults,
    // The engine's own PATH isn't the image's.
    Env: unlessEmpty(command.env.filter((entry) => hasPath || !entry.startsWith('PATH='))),
    Entrypoint: unlessEmpty(command.entrypoint),
    Cmd: unlessEmpty(command.command),
    User: command.user === '' ? undefined : command.user,
    WorkingDir: spec.workingDir ?? defaults.WorkingDir,
    StopSignal: spec.stopSignal ?? defaults.StopSignal,
    Labels: Object.keys(labels).length === 0 ? undefined : labels,
    ExposedPorts: Object.keys(exposed).length === 0 ? undefined : exposed,
  };
}

const unlessEmpty = (list: readonly string[]): readonly string[] | undefined => (list.length === 0 ? undefined : list);

async function spool(parts: CommitParts, file: string, { pause = true, signal }: CommitOptions): Promise<Layer> {
  await using _held = pause ? await freeze(parts, signal) : undefined;
  const { stream, packed } = packLayer(upperMembers(parts.paths, parts.record), { signal });
  await pipeline(stream, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
  const { digest, diffId, size } = await packed;
  return { descriptor: { mediaType: OCI_LAYER, digest, size }, diffId, open: () => createReadStream(file) };
}

/** Holds the container's processes until disposed of. One that ends meanwhile needs no thawing. */
async function freeze(
  { context, record }: CommitParts,
  signal: AbortSignal | undefined,
): Promise<AsyncDisposable | undefined> {
  const cgroup = findCgroup(cgroupPath(context.layout, record.id), context.host.cgroups);
  if (cgroup === undefined) return undefined;
  await unlessGone(() => cgroup.freeze({ signal }));
  return { [Symbol.asyncDispose]: () => thaw(cgroup) };
}

const thaw = (cgroup: Cgroup): Promise<void> => unlessGone(() => cgroup.thaw());

async function unlessGone(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isCgroupError(error) || error.code !== 'CGROUP_NOT_FOUND') throw error;
  }
}

async function store(
  { context, record }: CommitParts,
  { author, message, reference, signal }: CommitOptions,
  { image, layer }: { readonly image: Image; readonly layer: Layer },
): Promise<string> {
  const created = image.config.created;
  const history = {
    ...(created === undefined ? {} : { created }),
    created_by: record.process.args.join(' '),
    ...(author === undefined ? {} : { author }),
    ...(message === undefined ? {} : { comment: message }),
  };
  const names = reference === undefined ? [] : [reference];
  const { id } = await context.images.write(appendLayer(image, layer, history), { names, signal });
  return id;
}
