import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { printLine } from '../output.ts';
import { openCredentials } from '../registry/client.ts';
import { serverDomain, serverLabel } from '../registry/surroundings.ts';

export const command: Command = defineCommand({
  usage: '[SERVER]',
  summary: 'Log out from a registry\n\nDefaults to Docker Hub if no server is specified.',
  flags: {},
  least: 0,
  most: 1,
  unprivileged: true,
  run: async ({ positional: [server] }) => {
    const domain = serverDomain(server);
    const credentials = await openCredentials();
    const known = await credentials.erase(domain);
    printLine(
      known ? `Removing login credentials for ${serverLabel(domain)}` : `Not logged in to ${serverLabel(domain)}`,
    );
    return 0;
  },
});
