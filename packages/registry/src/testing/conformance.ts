import { blobCases } from './blob-cases.ts';
import { ConformanceTarget } from './case.ts';
import type { ConformanceCase } from './case.ts';
import { listCases } from './list-cases.ts';
import { manifestCases } from './manifest-cases.ts';
import { manifestPushCases } from './manifest-push-cases.ts';
import { referrerCases } from './referrer-cases.ts';
import { uploadCases } from './upload-cases.ts';

/**
 * Rules of the distribution specification, and a few of our own, each with its section: what any registry can be asked by its
 * URL. They push into repositories below `conformance/`, and delete only there.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export const conformanceCases: readonly ConformanceCase[] = [
  ...listCases,
  ...blobCases,
  ...uploadCases,
  ...manifestCases,
  ...manifestPushCases,
  ...referrerCases,
];

/** @param url - of a registry without accounts: `http://127.0.0.1:5000` */
export const openConformanceTarget = (url: string): ConformanceTarget => new ConformanceTarget(url);
