import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { AF_UNIX, SOCK_STREAM, bind, encodeResize, listen, sockaddr_un, socket } from '../src/index.ts';
import { InitRun, MonitorClient, warmUp } from './init-run.ts';
import type { InitRunOptions } from './init-run.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';

beforeAll(warmUp);

const EVERYBODY = 0o777;

/** Descriptors and settings of a process that can be attached to, with `dir` as its run directory. */
function attachable(dir: TemporaryDirectory, undo: DisposableStack): InitRunOptions & { readonly path: string } {
  const listener = undo.adopt(socket(AF_UNIX, SOCK_STREAM, 0), closeSync);
  const path = dir.at('monitor.sock');
  bind(listener, sockaddr_un(path));
  listen(listener, 64);
  return { path, fds: [listener, dir.fd], keep: { attached: false, stdin: true, listener: 0, runDir: 1 } };
}

describeRoot('a monitor that listens', () => {
  it('serves who comes later: pid, output from now on, input, and the end', async () => {
    using undo = new DisposableStack();
    using dir = temporaryDirectory();
    const { path, ...options } = attachable(dir, undo);
    await using run = InitRun.shell('echo missed; read -r line; echo "got $line"; exit 9', options);
    const hostPid = await run.started();
    await using first = await MonitorClient.connect(path);
    await using second = await MonitorClient.connect(path);
    first.send('attach');
    await first.until(() => first.frames.length > 0);
    expect(first.frames).toEqual([{ type: 'started', hostPid }]);
    second.send('stdin', 'hello\n');
    expect(await run.exitCode()).toBe(9);
    await Promise.all([first.closed, second.closed]);
    expect(first.output()).toMatch(/got hello\n$/);
    expect(second.frames).toEqual([
      { type: 'started', hostPid },
      { type: 'exit', exitCode: 9, signal: undefined },
    ]);
    expect(run.output()).toBe('');
  });

  it('hangs up on a seventeenth client, and on other users', async () => {
    using undo = new DisposableStack();
    using dir = temporaryDirectory();
    const { path, ...options } = attachable(dir, undo);
    await using run = InitRun.shell('read -r line', options);
    await run.started();
    await using clients = new AsyncDisposableStack();
    for (let count = 0; count < 15; count++) {
      const client = clients.use(await MonitorClient.connect(path));
      await client.until(() => client.frames.length === 1);
    }
    await using late = await MonitorClient.connect(path);
    await late.closed;
    expect(late.frames).toEqual([]);
    await clients.disposeAsync();

    // Both the directory and the socket would have to be opened to others first; then they are told nothing.
    chmodSync(dir.path, EVERYBODY);
    chmodSync(path, EVERYBODY);
    const ask = `
      let length = 0;
      const socket = require('node:net').connect(${JSON.stringify(path)});
      socket.on('error', () => 0).on('data', (data) => socket.destroy((length = data.length, undefined)));
      socket.on('close', () => console.log(length));`;
    const answerTo = (user: string): string =>
      execFileSync('setpriv', [`--reuid=${user}`, '--clear-groups', process.execPath, '-e', ask], { encoding: 'utf8' });
    expect([answerTo('0'), answerTo('1000')]).toEqual(['8\n', '0\n']);
  });

  it('keeps its socket where only root can come to, and none in the abstract name space (V13)', async () => {
    using undo = new DisposableStack();
    using dir = temporaryDirectory();
    const sockets = (): string[] =>
      readFileSync('/proc/net/unix', 'utf8')
        .split('\n')
        .map((line) => line.split(' ').at(-1) ?? '');
    const { path, ...options } = attachable(dir, undo);
    await using run = InitRun.shell('read -r line', options);
    await run.started();
    expect(statSync(dir.path).mode & EVERYBODY).toBe(0o700);
    expect(sockets()).toContain(path);
    expect(sockets().filter((name) => name.startsWith('@') && /tsc/.test(name))).toEqual([]);
  });

  it('tells a client that comes after the end how it ended', async () => {
    using undo = new DisposableStack();
    using dir = temporaryDirectory();
    const { path, ...options } = attachable(dir, undo);
    // The engine has not said yet that it has cleaned up, so the monitor waits.
    await using run = InitRun.shell('exit 8', { ...options, keep: { ...options.keep, cleanupCommand: ['/bin/true'] } });
    await run.until(() => run.frame('exit') !== undefined);
    await using late = await MonitorClient.connect(path);
    await late.until(() => late.frame('exit') !== undefined);
    expect(late.frame('exit')?.exitCode).toBe(8);
    run.send('cleaned');
    await run.ended();
  });

  it('drops a client that talks nonsense, and nobody else', async () => {
    using undo = new DisposableStack();
    using dir = temporaryDirectory();
    const { path, ...options } = attachable(dir, undo);
    await using run = InitRun.shell('cat', options);
    await run.started();
    for (const nonsense of [Buffer.from([0xff, 0xff, 0xff, 1]), Buffer.alloc(100_000, 0xee)]) {
      await using client = await MonitorClient.connect(path);
      client.socket.write(nonsense);
      await client.closed;
    }
    for (const odd of [
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([1, 0, 0, 4, 9]),
      Buffer.from([0, 0, 0, 6]),
      Buffer.from([0, 0, 0, 99]),
    ]) {
      await using client = await MonitorClient.connect(path);
      client.socket.write(odd);
      client.socket.end();
      await client.closed;
    }
    run.send('stdinEof');
    expect(await run.exitCode()).toBe(0);
  });

  it('resizes a terminal for whoever asks', async () => {
    using undo = new DisposableStack();
    using dir = temporaryDirectory();
    const { path, ...options } = attachable(dir, undo);
    const devpts = undo.adopt(openSync('/dev/pts', constants.O_DIRECTORY), closeSync);
    await using run = InitRun.shell('trap "stty size; exit" WINCH; stty size; tty; while :; do sleep 0.01; done', {
      fds: [...(options.fds ?? []), devpts],
      keep: { ...options.keep, attached: true, terminal: true },
      operations: [{ op: 'terminal', devpts: 2, slot: 3, rows: 24, columns: 80 }],
    });
    await run.untilOutput('/dev/pts/');
    await using other = await MonitorClient.connect(path);
    other.socket.write(encodeResize({ rows: 50, columns: 132 }));
    expect(await run.exitCode()).toBe(0);
    expect(run.output()).toMatch(/^24 80\r\n\/dev\/pts\/\d+\r\n50 132\r\n$/);
  });
});

describeRoot('what a monitor leaves', () => {
  const record = (dir: TemporaryDirectory, name: string): unknown => JSON.parse(readFileSync(dir.at(name), 'utf8'));
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/) as unknown;

  it.each([
    ['exit 3', { exitCode: 3, finishedAt: time }],
    ['kill -KILL $$', { signal: 9, finishedAt: time }],
  ])('are records of start and end: %s', async (script, end) => {
    using dir = temporaryDirectory();
    await using run = InitRun.shell(`read -r line; ${script}`, { fds: [dir.fd], keep: { stdin: true, runDir: 0 } });
    const pid = await run.started();
    expect(record(dir, 'started')).toEqual({ pid, startedAt: time });
    expect(existsSync(dir.at('exit'))).toBe(false);
    run.send('stdin', '\n');
    await run.ended();
    expect(record(dir, 'exit')).toEqual(end);
    expect(readdirSync(dir.path).sort()).toEqual(['exit', 'started']);
    expect(statSync(dir.at('exit')).mode & EVERYBODY).toBe(0o600);
  });

  it('is nothing when the process could not be started', async () => {
    using dir = temporaryDirectory();
    await using run = InitRun.start(['/nonexistent'], {
      fds: [dir.fd],
      keep: { runDir: 0, cleanupCommand: ['/bin/touch', dir.at('cleaned')] },
    });
    await run.ended();
    expect(readdirSync(dir.path)).toEqual([]);
  });
});

describeRoot('the cleanup command', () => {
  const cleanupOf = (dir: TemporaryDirectory): readonly string[] => {
    writeFileSync(
      dir.at('cleanup'),
      `#!/bin/sh\n{ echo "$@"; cat exit; ls /proc/self/fd | wc -l; env; } > ${dir.at('cleaned')}.part\nmv ${dir.at('cleaned')}.part ${dir.at('cleaned')}\n`,
      { mode: 0o700 },
    );
    return ['/bin/sh', '-c', `cd ${dir.path} && exec ./cleanup "$@"`, 'sh', 'with space', 'id'];
  };

  it('runs when who started it has gone, after the record of the end, with no descriptor of the monitor', async () => {
    using dir = temporaryDirectory();
    await using run = InitRun.shell('sleep 0.05; exit 2', {
      fds: [dir.fd],
      keep: { runDir: 0, cleanupCommand: cleanupOf(dir) },
    });
    await run.started();
    run.socket.destroy();
    await run.ended();
    const [args, exit, descriptors] = readFileSync(dir.at('cleaned'), 'utf8').split('\n');
    expect(args).toBe('with space id');
    expect(JSON.parse(exit ?? '')).toMatchObject({ exitCode: 2 });
    expect(descriptors).toBe('4');
  });

  it('runs when who started it goes after the end without a word', async () => {
    using dir = temporaryDirectory();
    await using run = InitRun.shell('exit 2', { fds: [dir.fd], keep: { runDir: 0, cleanupCommand: cleanupOf(dir) } });
    await run.until(() => run.frame('exit') !== undefined);
    expect(existsSync(dir.at('cleaned'))).toBe(false);
    run.socket.destroy();
    await run.ended();
    expect(existsSync(dir.at('cleaned'))).toBe(true);
  });

  it('does not run when the engine says that it has cleaned up; another client may not say so', async () => {
    using undo = new DisposableStack();
    using dir = temporaryDirectory();
    const { path, ...options } = attachable(dir, undo);
    const keep = { ...options.keep, cleanupCommand: cleanupOf(dir) };
    await using run = InitRun.shell('read -r line', { ...options, keep });
    await run.started();
    run.send('cleaned');
    run.send('stdin', '\n');
    await run.ended();
    expect(existsSync(dir.at('cleaned'))).toBe(false);

    using again = temporaryDirectory();
    const second = attachable(again, undo);
    await using other = InitRun.shell('read -r line', {
      ...second,
      keep: { ...second.keep, cleanupCommand: cleanupOf(again) },
    });
    await other.started();
    await using client = await MonitorClient.connect(second.path);
    client.send('cleaned');
    client.send('stdin', '\n');
    await other.until(() => other.frame('exit') !== undefined);
    other.socket.destroy();
    await other.ended();
    expect(existsSync(again.at('cleaned'))).toBe(true);
    expect(path).not.toBe(second.path);
  });
});
