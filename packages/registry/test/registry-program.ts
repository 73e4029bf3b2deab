// Not the whole package: this is started hundreds of times.
import { serveRegistry } from '../src/server/serve.ts';

/** A registry in a process of its own, that a test may kill: its directory is the argument, its URL the first line. */
const server = await serveRegistry({ listen: '127.0.0.1:0', rootDir: process.argv[2] ?? '' });
process.stdout.write(`${server.url}\n`);
// Collects garbage all the time, as nobody should, so that every push meets it.
for (;;) {
  await server.collectGarbage({ graceMs: 5000 });
  await new Promise((resolve) => setTimeout(resolve, 5));
}
