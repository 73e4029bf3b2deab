import { CliError } from '../errors.ts';
import { codeOf } from '../failure.ts';

/** Docker's exit codes for a program that couldn't be started: 127 it isn't there, 126 it can't be run. */
export function startExitCode(error: unknown): number | undefined {
  const code = codeOf(error);
  if (code === undefined || !Error.isError(error)) return undefined;
  if (/NOT_EXECUTABLE|CANNOT_INVOKE/.test(code)) return 126;
  if (/COMMAND_NOT_FOUND|EXECUTABLE_NOT_FOUND/.test(code)) return 127;
  if (!/exec|start|command|init/i.test(`${code} ${error.message}`)) return undefined;
  if (/executable file not found|exec.*(no such file or directory|ENOENT)/i.test(error.message)) return 127;
  if (/exec.*(permission denied|is a directory|EACCES|EISDIR|exec format error|ENOEXEC)/i.test(error.message)) return 126;
  return undefined;
}

/** For `catch`: throws the error again, with the exit code that Docker gives it. */
export function rethrowWithExitCode(error: unknown): never {
  const exitCode = startExitCode(error);
  if (exitCode === undefined || !Error.isError(error)) throw error;
  throw new CliError('CLI_FAILED', error.message, { exitCode, cause: error });
}
