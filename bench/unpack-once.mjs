// Unpacks a layer and says on its standard output what that cost: node unpack-once.mjs <layer> <dir>
// Plain JavaScript, because what Node loads for TypeScript takes memory of its own.
import { createReadStream } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { unpackLayer } from '@tsc/image';

const [layer, dir] = process.argv.slice(2);
const loop = monitorEventLoopDelay({ resolution: 5 });
loop.enable();
await unpackLayer(createReadStream(layer), dir);
loop.disable();
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
const cost = { cpuMs: (userCPUTime + systemCPUTime) / 1000, memoryMb: maxRSS / 1024, blockedMs: loop.max / 1e6 };
process.stdout.write(JSON.stringify(cost));
