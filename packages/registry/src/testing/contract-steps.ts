import { equal, ok, rejects } from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { isRegistryError } from '../errors.ts';
import type { RegistryErrorCode } from '../errors.ts';
import type { Algorithm, Digest } from '../names.ts';
import type { NewManifest, RegistryStorage } from '../storage.ts';

/** Two openings of one storage, as two processes have them. */
export interface ContractStorages {
  readonly one: RegistryStorage;
  readonly other: RegistryStorage;
}

/** A promise that every storage keeps; `run` throws an `AssertionError` when it doesn't. */
export interface ContractCase {
  readonly title: string;
  readonly run: (storages: ContractStorages) => Promise<void>;
}

export const digestOf = (bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Digest =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;

export async function* bodyOf(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

export async function* brokenBody(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(chunk);
  throw new Error('the client went away');
}

export const refuses = (call: Promise<unknown>, code: RegistryErrorCode, status?: number): Promise<void> =>
  rejects(call, (error) => {
    ok(isRegistryError(error), String(error));
    equal(error.code, code);
    if (status !== undefined) equal(error.status, status);
    return true;
  });

export async function readAll(storage: RegistryStorage, name: string, digest: Digest): Promise<Buffer> {
  const blob = await storage.openBlob(name, digest);
  const chunks: Buffer[] = [];
  for await (const chunk of blob.stream()) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function push(storage: RegistryStorage, name: string, bytes: Uint8Array): Promise<Digest> {
  const id = await storage.startUpload(name, 'sha256');
  await storage.appendUpload({ name, id }, { offset: 0, body: bodyOf(bytes) });
  await storage.finishUpload({ name, id }, digestOf(bytes));
  return digestOf(bytes);
}

export const manifestOf = (text: string, more: Partial<NewManifest> = {}): NewManifest => {
  const bytes = Buffer.from(JSON.stringify({ text }));
  const mediaType = 'application/vnd.example+json';
  return { mediaType, bytes, digest: digestOf(bytes), tags: [], subject: undefined, referrer: undefined, ...more };
};

/** Asks again and again; it is the caller's test that has a time limit. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}
