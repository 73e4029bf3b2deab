import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { RegistryConfiguration, RegistryStorage } from '@tsc/registry';

import { failed } from '../errors.ts';
import { text } from '../flags/flag.ts';
import type { Flag } from '../flags/flag.ts';

/** How commands say which registry they are about: one of the two, or the file and another directory. */
export interface ServedWords {
  readonly config: string | undefined;
  readonly root: string | undefined;
}

interface ServedFlags {
  readonly config: Flag<string | undefined>;
  readonly root: Flag<string | undefined>;
}

export const servedFlags: ServedFlags = {
  config: text('The YAML file that the registry is served with', { valueName: 'file' }),
  root: text('The directory of the registry', { valueName: 'dir' }),
};

/** The configuration of a registry of this machine. */
export async function readServed({ config, root }: ServedWords): Promise<RegistryConfiguration> {
  if (config === undefined && root === undefined) throw failed('want --root with a directory, or --config with a file');
  const { readConfiguration } = await import('@tsc/registry');
  const file: Partial<RegistryConfiguration> = config === undefined ? {} : await readConfiguration(config);
  const storage = root === undefined ? file.storage : { rootDir: root };
  if (storage === undefined) throw new TypeError('a checked configuration has a storage');
  return { ...file, storage };
}

/** Opens what a registry of this machine keeps, beside the server that may be running. */
export async function openServed(words: ServedWords): Promise<{
  readonly storage: RegistryStorage;
  readonly configuration: RegistryConfiguration;
}> {
  const configuration = await readServed(words);
  const { rootDir } = configuration.storage;
  // To serve makes what isn't there; to look after it doesn't.
  if (rootDir !== undefined && !existsSync(join(rootDir, 'registry.json'))) {
    throw failed(`there is no registry in ${rootDir}`);
  }
  const { openConfiguredStorage } = await import('@tsc/registry');
  return { configuration, storage: await openConfiguredStorage(configuration.storage) };
}
