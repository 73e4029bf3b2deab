// What a monitor runs when its container has ended and no engine is connected:
//   node cleanup.js <root> <run> <container id>
// It gives back what the container had, removes it if that was asked for, and starts it again if its policy says so.
import { setTimeout as sleep } from 'node:timers/promises';

import { cleanUpEnded } from './ended.ts';

const [rootDir, runDir, id] = process.argv.slice(2);
if (rootDir === undefined || runDir === undefined || id === undefined) {
  process.exitCode = 2;
} else {
  await cleanUpEnded({ rootDir, runDir, id, sleep });
}
