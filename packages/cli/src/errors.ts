/** What a caller of `main` could do differently: read the help, or look at the world. */
export type CliErrorCode = 'CLI_USAGE' | 'CLI_BAD_FLAG' | 'CLI_BAD_VALUE' | 'CLI_NEEDS_ROOT' | 'CLI_FAILED';

/** Every error that a person can cause. Its message is complete: `main` prints it on one line and ends. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;
  /** Overrides the exit code that the command uses for failures. */
  readonly exitCode: number | undefined;
  constructor(
    code: CliErrorCode,
    message: string,
    details: { readonly exitCode?: number | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause });
    this.code = code;
    this.exitCode = details.exitCode;
  }
}

export const isCliError = (error: unknown): error is CliError => Error.isError(error) && error.name === 'CliError';

/** The mistake is in the words on the command line; the message is followed by where to find help. */
export const badValue = (message: string): CliError => new CliError('CLI_BAD_VALUE', message);

/** Docker has it and this engine doesn't, so far: said plainly, never ignored. */
export const notSupported = (what: string): CliError => new CliError('CLI_BAD_VALUE', `${what} is not supported yet`);

/** The command was understood and couldn't be carried out. */
export const failed = (message: string, cause?: unknown): CliError => new CliError('CLI_FAILED', message, { cause });
