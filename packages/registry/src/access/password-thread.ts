import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

interface Answer {
  readonly id: number;
  readonly same: boolean;
}

/** bcrypt in JavaScript takes up to seconds, so it runs where it keeps nobody else waiting. */
const PROGRAM = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { compareSync } = require(workerData.bcryptPath);
  parentPort.on('message', ({ id, password, hash }) => {
    parentPort.postMessage({ id, same: compareSync(password, hash) });
  });
`;

type Settle = PromiseWithResolvers<boolean>;

/** Compares passwords with bcrypt hashes, one after the other, in a thread that is there while it is needed. */
export class PasswordThread implements AsyncDisposable {
  readonly #bcryptPath = createRequire(import.meta.url).resolve('bcryptjs');
  readonly #waiting = new Map<number, Settle>();
  #worker: Worker | undefined;
  #count = 0;

  /** Comparisons that aren't done. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** @throws Error: the thread died */
  async compare(password: string, hash: string): Promise<boolean> {
    const worker = (this.#worker ??= this.#start());
    const id = this.#count++;
    const settle = Promise.withResolvers<boolean>();
    this.#waiting.set(id, settle);
    worker.ref();
    worker.postMessage({ id, password, hash });
    return settle.promise;
  }

  #start(): Worker {
    const worker = new Worker(PROGRAM, { eval: true, workerData: { bcryptPath: this.#bcryptPath }, env: {} });
    worker.on('message', ({ id, same }: Answer) => {
      this.#waiting.get(id)?.resolve(same);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
    });
    worker.on('error', (failure) => this.#end(worker, failure));
    worker.on('exit', () => this.#end(worker, new Error('the thread that compares passwords has ended')));
    worker.unref();
    return worker;
  }

  #end(worker: Worker, failure: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(failure);
    this.#waiting.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }
}
