import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { toggle, value } from '../flags/flag.ts';
import { note } from '../output.ts';
import { parseDetachKeys } from '../terminal/detach-keys.ts';
import { holdSession, requireTerminal } from '../terminal/session.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  summary: 'Attach local standard input, output, and error streams to a running container',
  aliases: ['tsc container attach', 'tsc attach'],
  flags: {
    'detach-keys': value('Override the key sequence for detaching a container', parseDetachKeys),
    'no-stdin': toggle('Do not attach STDIN'),
    'sig-proxy': toggle('Proxy all received signals to the process', { initial: true }),
  },
  least: 1,
  most: 1,
  run: ({ values, positional, surroundings }) =>
    withEngine(surroundings, async (engine) => {
      const container = engine.container(positional[0] ?? '');
      const { Config } = container.inspect();
      const session = {
        tty: Config['Tty'] === true,
        stdin: !values['no-stdin'] && Config['OpenStdin'] === true,
        stdout: true,
        stderr: true,
        detachKeys: values['detach-keys'] ?? parseDetachKeys('ctrl-p,ctrl-q'),
        forwardSignals: values['sig-proxy'],
      };
      requireTerminal(session);
      const end = await holdSession(await container.attach(), session);
      if (end !== 'detached') return end;
      note('read escape sequence');
      return 0;
    }),
});
