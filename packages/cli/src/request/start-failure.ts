import { CliError } from '../errors.ts';
import { codeOf } from '../failure.ts';

/** Docker's exit codes for a program that couldn't be started: 127 it isn't there, 126 it can't be run. */
const EXIT_CODES: Readonly<Record<string, number>> = {
  ENGINE_COMMAND_NOT_FOUND: 127,
  ENGINE_COMMAND_NOT_EXECUTABLE: 126,
};

/** For `catch`: throws the error again, with the exit code that Docker gives it. */
export function rethrowWithExitCode(error: unknown): never {
  const exitCode = EXIT_CODES[codeOf(error) ?? ''];
  if (exitCode === undefined || !Error.isError(error)) throw error;
  throw new CliError('CLI_FAILED', error.message, { exitCode, cause: error });
}
