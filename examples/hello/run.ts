// Builds an image from this directory and runs it as a container: a Node HTTP server with 128 MiB of memory and a
// published port. `npm start` runs it; it needs root and leaves nothing behind.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { build } from '@tsc/builder';
import { isEngineError, openEngine } from '@tsc/engine';
import type { Container, Engine } from '@tsc/engine';

import { imageOfThisNode } from './base-image.ts';

const MIB = 1024 ** 2;

/** Does one step, and says what it did and how long it took. */
async function step<T>(title: string, act: () => Promise<T>, describe: (result: T) => string = () => ''): Promise<T> {
  const began = performance.now();
  const result = await act();
  const took = `${(performance.now() - began).toFixed(0)} ms`.padStart(8);
  console.log(`${took}  ${title}${describe(result)}`);
  return result;
}

async function buildHello(engine: Engine): Promise<string> {
  const store = engine.images;
  for await (const event of build({ contextDir: import.meta.dirname, tags: ['hello'], store })) {
    if (event.type === 'built') return event.imageId.slice(7, 19);
  }
  throw new Error('the build ended without an image');
}

/** The server needs a moment after its process has started; until then the connection is refused. */
async function fetchPage(url: string): Promise<string> {
  const end = Date.now() + 10_000;
  for (;;) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
      return (await response.text()).trim();
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(20);
    }
  }
}

async function readLog(container: Container): Promise<string> {
  const lines: string[] = [];
  for await (const { text } of container.logs()) lines.push(text.trim());
  return lines.join(' | ');
}

async function main(engine: Engine): Promise<void> {
  await step('made a base image from this Node', async () =>
    engine.images.write(await imageOfThisNode(), { names: ['node-of-this-machine'] }),
  );
  await step(
    'built examples/hello',
    () => buildHello(engine),
    (id) => `: image ${id}`,
  );
  const { container } = await step(
    'started a container with 128 MiB of memory',
    () =>
      engine.run({
        image: 'hello',
        resources: { memoryMaxBytes: 128 * MIB },
        ports: [{ protocol: 'tcp', containerPort: 80 }],
      }),
    (running) => `: ${running.container.name}`,
  );
  const port = container.inspect().NetworkSettings.Ports['80/tcp']?.[0]?.HostPort ?? '';
  const url = `http://127.0.0.1:${port}/`;
  await step(
    `fetched ${url}`,
    () => fetchPage(url),
    (page) => `: ${page}`,
  );
  await step('stopped it', () => container.stop());
  await step(
    'read its log',
    () => readLog(container),
    (log) => `: ${log}`,
  );
  await step('removed it', () => container.remove());
}

const scratch = mkdtempSync(join(tmpdir(), 'tsc-hello-'));
try {
  await using engine = await openEngine({ rootDir: join(scratch, 'root'), runDir: join(scratch, 'run') });
  await main(engine);
} catch (error) {
  if (!isEngineError(error)) throw error;
  console.error(`npm start: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
