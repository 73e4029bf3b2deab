import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { openS3Storage } from '../src/s3.ts';
import type { S3StorageOptions } from '../src/s3.ts';
import { createRegistry } from '../src/server/registry.ts';

/** What {@link S3StorageOptions} and the test tell a registry in a process of its own. */
export interface S3ProgramOptions extends S3StorageOptions {
  /** Collects garbage all the time with this grace period. */
  readonly graceMs?: number | undefined;
}

/** Serves a bucket until it is killed; its URL is the first line. */
const { graceMs, ...options } = JSON.parse(process.argv[2] ?? '{}') as S3ProgramOptions;
const storage = await openS3Storage(options);
const onFailure = (failure: unknown): void => {
  const text = Error.isError(failure) ? (failure.stack ?? failure.message) : String(failure);
  process.stderr.write(`failure: ${text}\n`);
};
const server = createServer(createRegistry({ storage, onFailure }).handler).listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}\n`);
});
while (graceMs !== undefined) {
  await storage.collectGarbage(graceMs).catch(onFailure);
  await sleep(5);
}
