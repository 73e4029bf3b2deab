import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue, CliError } from '../errors.ts';
import { list, text, toggle, value } from '../flags/flag.ts';
import { readEnv } from '../request/process.ts';
import { rethrowWithExitCode } from '../request/start-failure.ts';
import { parseDetachKeys } from '../terminal/detach-keys.ts';
import { holdSession, requireTerminal, windowSize } from '../terminal/session.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  summary: 'Execute a command in a running container',
  aliases: ['tsc container exec', 'tsc exec'],
  flags: {
    detach: toggle('Detached mode: run command in the background', { short: 'd' }),
    'detach-keys': value('Override the key sequence for detaching a container', parseDetachKeys),
    env: list('Set environment variables', { short: 'e' }),
    'env-file': list('Read in a file of environment variables'),
    interactive: toggle('Keep STDIN open even if not attached', { short: 'i' }),
    privileged: toggle('Give extended privileges to the command'),
    tty: toggle('Allocate a pseudo-TTY', { short: 't' }),
    user: text('Username or UID (format: "<name|uid>[:<group|gid>]")', { short: 'u' }),
    workdir: text('Working directory inside the container', { short: 'w' }),
  },
  interspersed: false,
  least: 2,
  run: async ({ values, positional, surroundings }) => {
    const [reference = '', ...words] = positional;
    const env = readEnv(values['env-file'], values.env);
    const unset = env.find((word) => !word.includes('='));
    if (unset !== undefined) throw badValue(`the variable ${unset} isn't set here, so it has no value to hand over`);
    const session = {
      tty: values.tty,
      stdin: values.interactive,
      stdout: true,
      stderr: true,
      detachKeys: values['detach-keys'] ?? parseDetachKeys('ctrl-p,ctrl-q'),
      forwardSignals: false,
    };
    if (!values.detach) requireTerminal(session);
    const spec = {
      command: words,
      env: env.length === 0 ? undefined : env,
      workingDir: values.workdir,
      user: values.user,
      tty: values.tty,
      openStdin: values.interactive,
      privileged: values.privileged,
      detach: values.detach,
    };
    return withEngine(surroundings, async (engine) => {
      const container = engine.container(reference);
      const attachment = await container.exec(spec, { windowSize: windowSize() }).catch(rethrowWithExitCode);
      if (values.detach) return 0;
      const end = await holdSession(attachment, session);
      if (end !== 'detached') return end;
      throw new CliError('CLI_FAILED', 'read escape sequence');
    });
  },
});
