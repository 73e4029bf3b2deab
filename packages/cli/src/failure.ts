import { isCliError } from './errors.ts';
import { note } from './output.ts';

interface CodedError extends Error {
  readonly code: string;
}

/** An error with a code is somebody's considered answer. Node's own `ERR_…` are mistakes of the program. */
const isExpected = (error: unknown): error is CodedError =>
  Error.isError(error) && 'code' in error && typeof error.code === 'string' && !error.code.startsWith('ERR_');

/** The code of an error that some package threw on purpose. */
export const codeOf = (error: unknown): string | undefined => (isExpected(error) ? error.code : undefined);

export interface FailureSetting {
  /** `tsc run`: what to ask for help. */
  readonly calledAs: string;
  readonly failureCode: number;
  readonly debug: boolean;
}

/** Tells a person what went wrong, in one line, and returns the exit code. */
export function reportFailure(error: unknown, { calledAs, failureCode, debug }: FailureSetting): number {
  if (debug && Error.isError(error)) note(error.stack ?? String(error));
  if (isCliError(error)) {
    const usage = error.code === 'CLI_USAGE' || error.code === 'CLI_BAD_FLAG' || error.code === 'CLI_BAD_VALUE';
    note(`tsc: ${oneLine(error.message)}${usage ? '.' : ''}`);
    if (usage) note(`See '${calledAs} --help'.`);
    return error.exitCode ?? failureCode;
  }
  if (isExpected(error)) {
    note(`tsc: ${oneLine(error.message)}`);
    return failureCode;
  }
  const message = Error.isError(error) ? error.message : String(error);
  note(`tsc: this is a bug: ${oneLine(message)} (TSC_DEBUG=1 shows where it happened)`);
  return failureCode;
}

/** Control characters would let a file name or an image write on the terminal. */
export const oneLine = (message: string): string => message.replace(/\s*\n\s*/g, '; ').replace(/\p{Cc}/gu, '?');

/** Does the same to each of several things; one that fails doesn't keep the others from their turn. */
export async function forEach(
  references: readonly string[],
  calledAs: string,
  act: (reference: string) => Promise<void>,
): Promise<number> {
  let exitCode = 0;
  for (const reference of references) {
    try {
      await act(reference);
    } catch (error) {
      if (!isExpected(error)) throw error;
      exitCode = reportFailure(error, { calledAs, failureCode: 1, debug: false });
    }
  }
  return exitCode;
}
