import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { badValue } from '../errors.ts';
import { forEach } from '../failure.ts';
import { toggle, value } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { rethrowWithExitCode } from '../request/start-failure.ts';
import { parseDetachKeys } from '../terminal/detach-keys.ts';
import { holdSession, requireTerminal, windowSize } from '../terminal/session.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Start one or more stopped containers',
  aliases: ['tsc container start', 'tsc start'],
  flags: {
    attach: toggle('Attach STDOUT/STDERR and forward signals', { short: 'a' }),
    'detach-keys': value('Override the key sequence for detaching a container', parseDetachKeys),
    interactive: toggle("Attach container's STDIN", { short: 'i' }),
    'sig-proxy': toggle('Proxy received signals to the process', { initial: true, hidden: true }),
  },
  notYet: ['checkpoint', 'checkpoint-dir'],
  least: 1,
  run: ({ values, positional, surroundings }) =>
    withEngine(surroundings, async (engine) => {
      const attach = values.attach || values.interactive;
      if (!attach) {
        return forEach(positional, surroundings.calledAs, async (reference) => {
          await engine.container(reference).start();
          printLine(reference);
        });
      }
      if (positional.length > 1) throw badValue('you cannot start and attach multiple containers at once');
      const container = engine.container(positional[0] ?? '');
      const { Config } = container.inspect();
      const session = {
        tty: Config['Tty'] === true,
        stdin: values.interactive && Config['OpenStdin'] === true,
        stdout: true,
        stderr: true,
        detachKeys: values['detach-keys'] ?? parseDetachKeys('ctrl-p,ctrl-q'),
        forwardSignals: values['sig-proxy'],
      };
      requireTerminal(session);
      const running = await container.start({ attach: true, windowSize: windowSize() }).catch(rethrowWithExitCode);
      if (running.attachment === undefined) return 0;
      const end = await holdSession(running.attachment, session);
      return end === 'detached' ? 0 : running.wait();
    }),
});
