import type { ContainerSpec } from '@tsc/engine';

import { badValue } from '../errors.ts';
import { integer, list, text, toggle } from '../flags/flag.ts';
import { parseEnv, parseEnvFile } from '../words/assignment.ts';
import { parseUlimit } from '../words/ulimit.ts';
import { readNamedFile } from './file.ts';
import { flagGroup, given, unlessEmpty } from './group.ts';
import type { FlagGroup } from './group.ts';

type ProcessRequest = Pick<
  ContainerSpec,
  | 'entrypoint'
  | 'env'
  | 'workingDir'
  | 'user'
  | 'groupAdd'
  | 'tty'
  | 'openStdin'
  | 'init'
  | 'ulimits'
  | 'stopSignal'
  | 'stopTimeoutMs'
>;

/** What runs, as whom and in which surroundings. */
export const processGroup: FlagGroup<ProcessRequest> = flagGroup(
  {
    entrypoint: text('Overwrite the default ENTRYPOINT of the image'),
    env: list('Set environment variables', { short: 'e' }),
    'env-file': list('Read in a file of environment variables'),
    'group-add': list('Add additional groups to join'),
    init: toggle('Run an init inside the container that forwards signals and reaps processes'),
    interactive: toggle('Keep STDIN open even if not attached', { short: 'i' }),
    'stop-signal': text('Signal to stop the container'),
    'stop-timeout': integer('Timeout (in seconds) to stop a container'),
    tty: toggle('Allocate a pseudo-TTY', { short: 't' }),
    ulimit: list('Ulimit options', { valueName: 'ulimit' }, parseUlimit),
    user: text('Username or UID (format: <name|uid>[:<group|gid>])', { short: 'u' }),
    workdir: text('Working directory inside the container', { short: 'w' }),
  },
  (values) =>
    given({
      entrypoint: values.entrypoint === undefined ? undefined : values.entrypoint === '' ? [] : [values.entrypoint],
      env: unlessEmpty(readEnv(values['env-file'], values.env)),
      workingDir: absolute(values.workdir),
      user: values.user,
      groupAdd: unlessEmpty(values['group-add']),
      tty: values.tty || undefined,
      openStdin: values.interactive || undefined,
      init: values.init || undefined,
      ulimits: unlessEmpty(values.ulimit),
      stopSignal: values['stop-signal'],
      stopTimeoutMs: values['stop-timeout'] === undefined ? undefined : values['stop-timeout'] * 1000,
    }),
);

/** Files first, so that `-e` has the last word. */
export const readEnv = (files: readonly string[], words: readonly string[]): readonly string[] => [
  ...files.flatMap((file) => parseEnvFile(readNamedFile(file), file, process.env)),
  ...words.map((word) => parseEnv(word, process.env)),
];

function absolute(path: string | undefined): string | undefined {
  if (path === undefined || path.startsWith('/')) return path;
  throw badValue(`the working directory '${path}' is invalid, it needs to be an absolute path`);
}
