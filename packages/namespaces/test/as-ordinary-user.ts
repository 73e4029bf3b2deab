// What an ordinary user can do, told as JSON; spawn.root.test.ts runs it with that user's ids.
import { createNetns, isNamespaceError, spawnInNamespaces } from '../src/index.ts';
import type { SpawnInNamespacesOptions } from '../src/index.ts';

const attempt = async (action: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await action();
  } catch (error) {
    return isNamespaceError(error) ? error.code : String(error);
  }
};
const run = (options: SpawnInNamespacesOptions): Promise<unknown> =>
  attempt(async () => (await spawnInNamespaces({ stdio: [0, 2, 2], ...options })).exit);

const script = `
  id -u; id -g; cat /proc/self/uid_map | tr -s ' '; hostname; echo $$; echo /proc/[0-9]*
  ip link set lo up && ip -o link | wc -l; mount -t tmpfs tmpfs /mnt && echo mounted`;

process.stdout.write(
  JSON.stringify({
    inside: await run({
      create: ['user', 'pid', 'mnt', 'net', 'uts', 'ipc'],
      hostname: 'inside',
      mountProc: true,
      command: 'sh',
      args: ['-c', script],
    }),
    netns: await attempt(createNetns),
    withoutUser: await run({ create: ['net'], command: 'true' }),
    foreignIds: await run({ create: ['user'], uidMap: [{ containerId: 0, hostId: 0, size: 1 }], command: 'true' }),
  }),
);
