import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Digest } from '../src/index.ts';
import { programEnvironment } from './program.ts';
import { ConformanceTarget, describe, digestOf, MANIFEST } from '../src/testing/case.ts';

/** An image that a registry has said it has. */
export interface Acknowledged {
  readonly name: string;
  readonly manifest: Digest;
  readonly blobs: readonly Digest[];
}

export interface EnduranceOptions {
  /** For the registry's directory, `root`, and what else is needed. */
  readonly dir: string;
  /** Half of them push, and delete most of it again; the others pull. */
  readonly clients: number;
  readonly kills: number;
  /** How long the registry lives between two kills: at least, and at most. */
  readonly lifeMs: readonly [number, number];
  readonly layerMaxBytes?: number | undefined;
}

export interface EnduranceReport {
  readonly pushes: number;
  readonly pulls: number;
  readonly deletes: number;
  /** What was pushed and not deleted. */
  readonly acknowledged: readonly Acknowledged[];
  /** What was answered wrongly: not that a connection broke. */
  readonly failures: readonly string[];
}

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
}

async function start(dir: string): Promise<Running> {
  const program = join(import.meta.dirname, 'registry-program.ts');
  const child = spawn(process.execPath, [program, join(dir, 'root')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: programEnvironment(join(dir, 'cache')),
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.stdout.resume();
  return { child, url: line.toString().trim() };
}

async function kill({ child }: Running): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** A server that is killed shows as a broken connection; a wrong answer is a failure of ours. */
const isBroken = (error: unknown): boolean =>
  /ECONNREFUSED|ECONNRESET|EPIPE|socket hang up|aborted/.test(String(error));

const KEPT_PER_PUSHER = 8;

/** What clients know between them: which images have to be there, and what went wrong. */
class Clients {
  readonly present = new Set<Acknowledged>();
  readonly failures: string[] = [];
  readonly counts = { pushes: 0, pulls: 0, deletes: 0 };
  readonly #layerMaxBytes: number;

  constructor(layerMaxBytes: number) {
    this.#layerMaxBytes = layerMaxBytes;
  }

  /** Pushes, and deletes one of many that it has pushed. */
  async push(target: ConformanceTarget, name: string, mine: Acknowledged[]): Promise<void> {
    const contents = [randomBytes(20), randomBytes(randomInt(1, this.#layerMaxBytes)), Buffer.from('shared by all')];
    const blobs: Digest[] = [];
    for (const bytes of contents) blobs.push(await target.pushBlob(name, bytes));
    const [config, ...layers] = contents.map((bytes) => describe(bytes, 'application/octet-stream'));
    const document = { schemaVersion: 2, mediaType: MANIFEST, config, layers };
    const { digest } = await target.pushManifest(name, `t${String(randomInt(5))}`, document);
    const image: Acknowledged = { name, manifest: digest, blobs };
    this.counts.pushes += 1;
    this.present.add(image);
    mine.push(image);
    const old = mine.length > KEPT_PER_PUSHER ? mine.splice(randomInt(mine.length), 1) : [];
    for (const one of old) await this.#remove(target, one);
  }

  async #remove(target: ConformanceTarget, image: Acknowledged): Promise<void> {
    // From here on nobody expects it: it may be gone although no answer comes.
    this.present.delete(image);
    const { status } = await target.send('DELETE', `/v2/${image.name}/manifests/${image.manifest}`);
    if (status !== 202) this.failures.push(`DELETE ${image.manifest}: ${String(status)}`);
    this.counts.deletes += 1;
  }

  /** Pulls one of those that have to be there, if there is any. */
  async pull(target: ConformanceTarget): Promise<void> {
    const images = [...this.present];
    const image = images[randomInt(Math.max(images.length, 1))];
    if (image === undefined) return sleep(10);
    const paths = [`manifests/${image.manifest}`, ...image.blobs.map((digest) => `blobs/${digest}`)];
    for (const path of paths) {
      const { status, body } = await target.send('GET', `/v2/${image.name}/${path}`);
      if (!this.present.has(image)) return;
      const digest = path.slice(path.indexOf('/') + 1);
      if (status !== 200 || digestOf(body) !== digest) this.failures.push(`GET ${path}: ${String(status)}`);
    }
    this.counts.pulls += 1;
  }
}

/**
 * Lets clients push, pull and delete while garbage is collected all the time, and kills the registry again and again. It is
 * not running when this resolves.
 */
export async function endure(options: EnduranceOptions): Promise<EnduranceReport> {
  const { dir, clients: count, kills, lifeMs, layerMaxBytes = 300_000 } = options;
  let running = await start(dir);
  let done = false;
  const clients = new Clients(layerMaxBytes);

  const work = async (act: (target: ConformanceTarget) => Promise<void>): Promise<void> => {
    while (!done) {
      using target = new ConformanceTarget(running.url);
      try {
        await act(target);
      } catch (error) {
        if (!isBroken(error)) clients.failures.push(String(error));
        await sleep(5);
      }
    }
  };
  const working = Array.from({ length: count }, (_, at) => {
    const mine: Acknowledged[] = [];
    const name = `team/app${String(at % 3)}`;
    return work((target) => (at % 2 === 0 ? clients.push(target, name, mine) : clients.pull(target)));
  });

  for (let at = 0; at < kills; at++) {
    await sleep(randomInt(...lifeMs));
    await kill(running);
    running = await start(dir);
  }
  await sleep(randomInt(...lifeMs));
  // On a machine with much else to do, nothing may have been finished so far.
  while (Math.min(clients.counts.pushes, clients.counts.pulls) < kills) await sleep(20);
  done = true;
  await Promise.all(working);
  await kill(running);
  return { ...clients.counts, acknowledged: [...clients.present], failures: clients.failures };
}
