// What a monitor runs when its container has ended and no engine is connected:
//   node cleanup.js <root> <run> <container id>
// It gives back what the container had, and removes it if that was asked for. If its policy asks for another start, it
// leaves that to a process of its own, which the monitor doesn't wait for: it still holds the container's ports.
//   node cleanup.js <root> <run> <container id> restart
import { spawn } from 'node:child_process';

import { cleanUpEnded, restartEnded } from './ended.ts';

const [rootDir, runDir, id, task] = process.argv.slice(2);
if (rootDir === undefined || runDir === undefined || id === undefined) {
  process.exitCode = 2;
} else if (task === 'restart') {
  await restartEnded({ rootDir, runDir, id });
} else if (await cleanUpEnded({ rootDir, runDir, id })) {
  const args = [import.meta.filename, rootDir, runDir, id, 'restart'];
  spawn(process.execPath, args, { detached: true, stdio: 'ignore', env: {} }).unref();
}
