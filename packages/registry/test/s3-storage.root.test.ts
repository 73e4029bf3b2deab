import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { openS3Storage } from '../src/s3.ts';
import { storageContract } from '../src/testing.ts';
import { startS3Server } from './s3-server.ts';
import type { S3Server } from './s3-server.ts';

describeRoot('the contract of storages, kept by a bucket', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  }, 120_000);
  afterAll(() => server.stop());

  test.each(storageContract)('$title', async ({ run }) => {
    const bucket = await server.createBucket();
    {
      await using one = await openS3Storage(bucket);
      await using other = await openS3Storage(bucket);
      await run({ one, other });
    }
    server.client.destroy();
    expect(true).toBe(true);
  });
});
