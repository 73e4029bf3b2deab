import type { Credential, CredentialFile, RegistryClient } from '@tsc/image';

import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { CliError } from '../errors.ts';
import { codeOf } from '../failure.ts';
import { text, toggle } from '../flags/flag.ts';
import { note, printLine } from '../output.ts';
import { openCredentials, withRegistries } from '../registry/client.ts';
import { serverDomain } from '../registry/surroundings.ts';
import { askLine, readAllInput } from '../terminal/prompt.ts';
import { abortOnSignal } from '../terminal/signals.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] [SERVER]',
  summary: 'Authenticate to a registry\n\nDefaults to Docker Hub if no server is specified.',
  flags: {
    password: text('Password or Personal Access Token (PAT)', { short: 'p' }),
    'password-stdin': toggle('Take the Password or Personal Access Token (PAT) from stdin'),
    username: text('Username', { short: 'u' }),
  },
  least: 0,
  most: 1,
  unprivileged: true,
  run: async ({ values, positional: [server] }) => {
    const { username, password, 'password-stdin': fromStdin } = values;
    if (password !== undefined) {
      note('WARNING! Using --password via the CLI is insecure. Use --password-stdin.');
      if (fromStdin) throw refused('conflicting options: cannot specify both --password and --password-stdin');
    }
    if (fromStdin && !username) throw refused('the --password-stdin option requires --username to be set');
    const domain = serverDomain(server);
    return withRegistries(async (client) => {
      const given = { username, password: fromStdin ? await readAllInput() : password };
      await login(domain, given, { client, credentials: await openCredentials() });
      printLine('Login Succeeded');
      return 0;
    });
  },
});

const refused = (message: string): CliError => new CliError('CLI_FAILED', message, { exitCode: 1 });

interface Given {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

interface Means {
  readonly client: RegistryClient;
  readonly credentials: CredentialFile;
}

/** Nothing is stored before the registry has taken it. */
async function login(domain: string, given: Given, { client, credentials }: Means): Promise<void> {
  const stored = await credentials.credentialFor(domain);
  if (stored !== undefined && !given.username && given.password === undefined) {
    note('Authenticating with existing credentials...');
    if (await accepts(client, domain, stored)) return;
    note('The registry does not take them any more.');
  }
  const credential = await complete(given, stored);
  await verify(client, domain, credential);
  const helper = await credentials.store(domain, credential);
  if (helper === undefined) {
    note(`WARNING! Your credentials are stored unencrypted in '${credentials.path}'.`);
    note('Name a credential helper in it, as "credsStore", to have them kept by your keyring.');
  }
}

async function accepts(client: RegistryClient, domain: string, stored: Credential): Promise<boolean> {
  try {
    await verify(client, domain, stored);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'REGISTRY_UNAUTHORIZED') throw error;
    return false;
  }
}

/** Asks for what wasn't given. */
async function complete({ username, password }: Given, stored: Credential | undefined): Promise<Credential> {
  if ((!username || !password) && !process.stdin.isTTY) {
    throw refused('cannot perform an interactive login from a non TTY device');
  }
  const known = stored !== undefined && 'username' in stored ? stored.username : '';
  const name = username || (await askLine(known === '' ? 'Username: ' : `Username (${known}): `)).trim() || known;
  if (name === '') throw refused('username is required');
  const secret = password || (await askLine('Password: ', { hidden: true }));
  if (secret === '') throw refused('password is required');
  return { username: name, password: secret };
}

/** A signal while the registry is asked ends the command. While a person is asked, the prompt sees to that. */
async function verify(client: RegistryClient, domain: string, credential: Credential): Promise<void> {
  using abort = abortOnSignal();
  try {
    await client.verifyCredential(domain, credential, { signal: abort.signal });
  } catch (error) {
    if (abort.exitCode === undefined) throw error;
    throw new CliError('CLI_FAILED', 'interrupted', { exitCode: abort.exitCode, cause: error });
  }
}
