// Runs a shell command as root of a machine of its own: no network, its own processes and name. No privilege needed.
import { spawnInNamespaces } from '@tsc/namespaces';

const { exit } = await spawnInNamespaces({
  create: ['user', 'pid', 'mnt', 'net', 'uts', 'ipc'],
  hostname: 'sandbox',
  mountProc: true,
  command: 'sh',
  args: ['-c', 'echo "$(id -un) on $(hostname), process $$"; cat /proc/net/dev'],
});
process.exitCode = (await exit).exitCode;
