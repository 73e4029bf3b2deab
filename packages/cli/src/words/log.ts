import type { LogSpec } from '@tsc/engine';

import { badValue, notSupported } from '../errors.ts';
import { parseAssignments } from './assignment.ts';
import { parseSize } from './size.ts';

/** `--log-driver` and its `--log-opt` words; `undefined` leaves the engine's default. */
export function parseLog(driver: string | undefined, optionWords: readonly string[]): LogSpec | undefined {
  if (driver === undefined && optionWords.length === 0) return undefined;
  if (driver !== undefined && driver !== 'json-file' && driver !== 'none') {
    throw notSupported(`the log driver "${driver}" (there are json-file and none)`);
  }
  const options = parseAssignments(optionWords, '--log-opt');
  const unknown = Object.keys(options).find((key) => key !== 'max-size' && key !== 'max-file');
  if (unknown !== undefined) throw badValue(`unknown log opt '${unknown}' for json-file log driver`);
  if (driver === 'none' && optionWords.length > 0) throw badValue('the log driver "none" has no options');
  const { 'max-size': size, 'max-file': files } = options;
  if (files !== undefined && !/^[1-9]\d*$/.test(files)) throw badValue(`max-file cannot be less than 1: ${files}`);
  return {
    driver: driver ?? 'json-file',
    ...(size === undefined || size === '-1' ? {} : { maxSizeBytes: parseSize(size) }),
    ...(files === undefined ? {} : { maxFiles: Number(files) }),
  };
}
