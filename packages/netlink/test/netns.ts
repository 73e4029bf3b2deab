import { execFileSync, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';

import { CLONE_NEWNET, unshare } from '@tsc/sys';

/** A network namespace of a test's own, in which witnesses run. */
export interface TestNetns extends Disposable {
  readonly fd: number;
  /** Runs a program inside and returns what it prints. */
  run(command: string, ...args: readonly string[]): string;
  /** Writes `/proc/sys/net/ipv4/<name>` of this namespace. */
  sysctl(name: string, value: string): void;
  /** Starts Node inside with this source and waits for its first line; killed when the returned thing is disposed. */
  startNode(source: string, ...args: readonly string[]): Promise<NodeProcess>;
}

export interface NodeProcess extends Disposable {
  readonly firstLine: string;
  readonly exited: Promise<void>;
}

export const createTestNetns = async (): Promise<TestNetns> => {
  const [fd] = await unshare(CLONE_NEWNET);
  if (fd === undefined) throw new Error('unshare gave no descriptor');
  const entry = `--net=/proc/${String(process.pid)}/fd/${String(fd)}`;
  const run = (command: string, ...args: readonly string[]): string =>
    execFileSync('nsenter', [entry, command, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return {
    fd,
    run,
    sysctl(name, value) {
      run('sh', '-c', 'echo "$1" > "/proc/sys/net/ipv4/$0"', name, value);
    },
    async startNode(source, ...args) {
      const child = spawn('nsenter', [entry, process.execPath, '-e', source, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      const exited = new Promise<void>((resolve) => {
        child.once('exit', () => {
          resolve();
        });
      });
      const firstLine = await new Promise<string>((resolve, reject) => {
        child.once('error', reject);
        child.once('exit', (code) => {
          reject(new Error(`node exited with ${String(code)} before it said anything`));
        });
        child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
          output += chunk;
          if (output.includes('\n')) resolve(output.split('\n', 1)[0] ?? '');
        });
      });
      return {
        firstLine,
        exited,
        [Symbol.dispose]() {
          child.kill('SIGKILL');
        },
      };
    },
    [Symbol.dispose]() {
      closeSync(fd);
    },
  };
};
