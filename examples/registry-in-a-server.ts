// A registry in a program's own HTTP server, with a page to look through it, that says what is pushed.
// Run: node registry-in-a-server.ts DIRECTORY [PORT]
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { createRegistry, openFileSystemStorage, pageEndpoints } from '@tsc/registry';

const [directory = 'images', port = '5000'] = process.argv.slice(2);
const storage = await openFileSystemStorage(directory);
const registry = createRegistry({
  storage,
  endpoints: pageEndpoints({ storage }),
  onEvent: (event) => {
    if (event.type === 'push' && event.object === 'manifest') console.log(`${event.name} ${event.digest}`);
  },
});
const server = createServer(registry.handler).listen(Number(port), '127.0.0.1', () => {
  console.log(`docker push 127.0.0.1:${String((server.address() as AddressInfo).port)}/app`);
});
process.once('SIGTERM', () => server.close(() => void registry.close()).closeIdleConnections());
