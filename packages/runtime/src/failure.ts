import { getSystemErrorMap } from 'node:util';

import type { Operation, StartProgram } from '@tsc/sys';

import { RuntimeError } from './errors.ts';

/** What an operation does, as the subject of an error message. */
function describe(operation: Operation): string {
  switch (operation.op) {
    case 'exec':
      return `exec: ${JSON.stringify(operation.argv[0])}`;
    case 'writeFile':
      return `write ${JSON.stringify(operation.data.slice(0, 64))} to ${operation.path}`;
    case 'open':
    case 'openTree':
    case 'resolve':
    case 'mask':
    case 'readonly':
    case 'mkdirat':
    case 'mknodat':
    case 'symlinkat':
      return `${operation.op} ${operation.path}`;
    case 'mount':
      return `mount ${operation.target}`;
    case 'fsopen':
      return `fsopen ${operation.fstype}`;
    case 'fsconfig':
      return operation.key === undefined
        ? 'create the file system'
        : `mount option ${operation.key}${operation.value === undefined ? '' : `=${operation.value}`}`;
    case 'chdir':
      return `chdir to cwd (${JSON.stringify(operation.path)})`;
    case 'prlimit':
      return `set resource limit ${operation.resource} to ${operation.soft}:${operation.hard}`;
    default:
      return operation.op;
  }
}

const errnoNames = getSystemErrorMap();

/** The kernel's word and its meaning, from the number. */
function explain(errno: number): [string, string] {
  return errnoNames.get(-errno) ?? [`errno ${errno}`, 'unknown error'];
}

/** What a mount's steps are about: the nearest `resolve` after them names the target. */
function mountContext(program: StartProgram, index: number): string {
  const operation = program.operations[index];
  if (operation === undefined || !/^(?:fs|openTree|mountSetattr|moveMount)/.test(operation.op)) return '';
  const around =
    operation.op === 'moveMount' ? program.operations.slice(0, index).reverse() : program.operations.slice(index);
  const place = around.find((candidate) => candidate.op === 'resolve');
  return place === undefined ? '' : ` for the mount on ${place.path}`;
}

function execError(operation: Extract<Operation, { op: 'exec' }>, errno: string, reason: string): RuntimeError {
  const name = JSON.stringify(operation.argv[0]);
  if (errno === 'ENOENT' || errno === 'ENOTDIR') {
    const message =
      operation.argv[0]?.includes('/') === true ? 'no such file or directory' : 'executable file not found in $PATH';
    return new RuntimeError('RUNTIME_COMMAND_NOT_FOUND', `exec: ${name}: ${message}`, { errno });
  }
  const messages: Readonly<Record<string, string>> = {
    EISDIR: 'is a directory',
    EACCES: 'permission denied',
    ENOEXEC: 'exec format error',
  };
  const code = errno in messages ? 'RUNTIME_COMMAND_NOT_EXECUTABLE' : 'RUNTIME_START_FAILED';
  return new RuntimeError(code, `exec: ${name}: ${messages[errno] ?? reason}`, { errno });
}

/** Turns "operation 17 failed with errno 2" into the error that a person can act on. */
export function startFailure(
  program: StartProgram,
  failure: { readonly index: number; readonly errno: number },
): RuntimeError {
  const operation = program.operations[failure.index];
  const [errno, reason] = explain(failure.errno);
  if (operation === undefined) {
    return new RuntimeError('RUNTIME_START_FAILED', `cannot carry out the start program: ${errno}: ${reason}`, {
      errno,
    });
  }
  if (operation.op === 'exec') return execError(operation, errno, reason);
  const where = mountContext(program, failure.index);
  if (operation.op === 'moveMount' && errno === 'EINVAL') {
    const hint = 'a directory goes on a directory, a file on a file';
    return new RuntimeError('RUNTIME_START_FAILED', `cannot attach${where}: ${errno}: ${reason} (${hint})`, { errno });
  }
  return new RuntimeError('RUNTIME_START_FAILED', `cannot ${describe(operation)}${where}: ${errno}: ${reason}`, {
    errno,
  });
}
