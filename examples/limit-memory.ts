// Runs a program that wants all the memory there is, in a cgroup that gives it 64 MiB. Needs root.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { createCgroup, probeCgroups } from '@tsc/cgroups';

await using cgroup = createCgroup(`/limit-memory-${String(process.pid)}`, {
  facts: probeCgroups(),
  limits: { memoryMaxBytes: 64 * 1024 ** 2 },
});
const join = 'for file; do echo 0 >"$file"; done'; // before exec, while it has a single thread
const files = cgroup.joinTargets().map(({ path }) => path);
const child = spawn('/bin/sh', ['-c', `${join}; exec tail /dev/zero`, 'sh', ...files]);
const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
process.stdout.write(`ended by ${String(signal)}, ${String(cgroup.oomKills())} killed for memory\n`);
