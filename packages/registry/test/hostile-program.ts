import { serveRegistry } from '../src/server/serve.ts';
import type { RegistryLimits } from '../src/server/context.ts';

/**
 * A registry in a process of its own whose memory and descriptors can be looked at: its directory and its limits are the
 * arguments. Writes its URL, then what it says about failures, a line each. Ends when its input does.
 */
const [rootDir, limits] = process.argv.slice(2);
const write = (line: string): boolean => process.stdout.write(`${line}\n`);
const server = await serveRegistry({
  listen: '127.0.0.1:0',
  rootDir: rootDir ?? '',
  headersTimeoutMs: 500,
  keepAliveTimeoutMs: 300,
  limits: JSON.parse(limits ?? '{}') as Partial<RegistryLimits>,
  onFailure: (failure) => write(Error.isError(failure) ? (failure.stack ?? failure.message) : String(failure)),
  // Logs and metrics wait for the end of every answer.
  onRequest: () => undefined,
});
write(server.url);
process.stdin.resume();
process.stdin.on('end', () => void server.close({ graceMs: 2000 }));
