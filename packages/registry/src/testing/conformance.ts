import { blobCases } from './blob-cases.ts';
import { ConformanceTarget } from './case.ts';
import type { ConformanceCase } from './case.ts';
import { contentCases } from './content-cases.ts';
import { listCases } from './list-cases.ts';
import { manifestCases } from './manifest-cases.ts';
import { manifestPushCases } from './manifest-push-cases.ts';
import { namingCases } from './naming-cases.ts';
import { preconditionCases } from './precondition-cases.ts';
import { referrerCases } from './referrer-cases.ts';
import { referrerListCases } from './referrer-list-cases.ts';
import { uploadCases } from './upload-cases.ts';
import { uploadSessionCases } from './upload-session-cases.ts';

/**
 * Rules of the distribution specification, and a few of our own, each with its section: what any registry can be asked by its
 * URL. They push into repositories below `conformance/`, and delete only there.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export const conformanceCases: readonly ConformanceCase[] = [
  ...listCases,
  ...namingCases,
  ...blobCases,
  ...uploadCases,
  ...uploadSessionCases,
  ...manifestCases,
  ...manifestPushCases,
  ...contentCases,
  ...preconditionCases,
  ...referrerCases,
  ...referrerListCases,
];

/** @param url - of a registry without accounts: `http://127.0.0.1:5000` */
export const openConformanceTarget = (url: string): ConformanceTarget => new ConformanceTarget(url);
