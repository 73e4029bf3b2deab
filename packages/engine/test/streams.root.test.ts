import { setTimeout as sleep } from 'node:timers/promises';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import type { Attachment, ContainerSpec, Engine } from '../src/index.ts';
import { failureOf, logText, sh, testEngine, text, until, warmUp } from './test-engine.ts';

const idle: ContainerSpec = { image: 'busybox', command: ['sleep', '1000'], network: 'none' };
const script = (line: string): ContainerSpec => ({ ...idle, command: ['sh', '-c', line] });

/** Starts with the streams connected. */
async function attached(engine: Engine, spec: ContainerSpec): Promise<Attachment> {
  const { attachment } = await engine.run(spec, { attach: true });
  if (attachment === undefined) throw new Error('run gave no attachment');
  return attachment;
}

/** Gathers what a stream says, and waits for words in it. */
function listen({ stdout }: Attachment): (word: string) => Promise<string> {
  let heard = '';
  stdout.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  return async (word) => {
    await until(`"${word}" in ${JSON.stringify(heard)}`, () => heard.includes(word));
    return heard;
  };
}

describeRoot('the streams of a container', () => {
  beforeAll(warmUp);

  it('carry standard input to it, and its end', async () => {
    await using t = await testEngine();
    const attachment = await attached(t.engine, { ...script('cat; echo end'), openStdin: true });
    const heard = text(attachment.stdout);
    const big = 'x'.repeat(300_000);
    attachment.stdin?.write(big);
    attachment.stdin?.end('\nlast\n');
    expect(await heard).toBe(`${big}\nlast\nend\n`);
    expect(await attachment.exitCode).toBe(0);
  });

  it('are a terminal when asked for, with a size that follows', async () => {
    await using t = await testEngine();
    const line = 'trap "stty size; exit 3" WINCH; stty size; tty; while :; do sleep 0.1; done';
    const spec = { ...script(line), tty: true, openStdin: true };
    const { attachment } = await t.engine.run(spec, { attach: true, windowSize: { rows: 11, columns: 77 } });
    if (attachment === undefined) throw new Error('not attached');
    expect(attachment.stderr).toBeUndefined();
    const heard = listen(attachment);
    expect(await heard('/dev/')).toBe('11 77\r\n/dev/pts/0\r\n');
    attachment.resize({ rows: 22, columns: 99 });
    await heard('22 99');
    expect(await attachment.exitCode).toBe(3);
  });

  it('take Ctrl-C from a terminal', async () => {
    await using t = await testEngine();
    const spec = { ...script('trap "exit 8" INT; echo on; while :; do sleep 0.1; done'), tty: true, openStdin: true };
    const attachment = await attached(t.engine, spec);
    await listen(attachment)('on');
    attachment.stdin?.write('\x03');
    expect(await attachment.exitCode).toBe(8);
  });

  it('can be joined, left and joined again', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({
      ...script('while read line; do echo "got $line"; [ "$line" = end ] && exit 4; done'),
      name: 'joined',
      openStdin: true,
    });
    const first = await container.attach();
    const heard = listen(first);
    first.stdin?.write('one\n');
    await heard('got one');
    first.detach();
    const second = await (await t.another()).container('joined').attach();
    second.stdin?.write('end\n');
    expect(await text(second.stdout)).toBe('got end\n');
    expect(await second.exitCode).toBe(4);
    expect(await failureOf(container.attach())).toMatch(/^ENGINE_CONTAINER_NOT_RUNNING/);
  });

  it('of a start are those of the container that runs already', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({ ...script('read line; echo "$line"'), openStdin: true });
    const { attachment } = await container.start({ attach: true });
    if (attachment === undefined) throw new Error('start gave no attachment');
    attachment.stdin?.write('hello\n');
    expect(await text(attachment.stdout)).toBe('hello\n');
  });

  it('hold a container up that nobody reads, and lose nothing', async () => {
    await using t = await testEngine();
    const attachment = await attached(t.engine, script('seq 200000'));
    await sleep(300);
    expect((await text(attachment.stdout)).length).toBe(1_288_895);
    expect(await attachment.exitCode).toBe(0);
  });
});

describeRoot('the log of a container', () => {
  beforeAll(warmUp);

  it('keeps both streams in order, and gives its end, its beginning and what came since', async () => {
    await using t = await testEngine();
    const running = await t.engine.run(
      script('for i in 1 2 3 4; do echo o$i; echo e$i >&2; sleep 0.05; done; printf half'),
    );
    await running.wait();
    const { container } = running;
    const entries = [];
    for await (const entry of container.logs()) entries.push(entry);
    expect(entries.filter(({ stream }) => stream === 'stderr').map((entry) => entry.text)).toEqual(
      'e1 e2 e3 e4'.split(' ').map((line) => `${line}\n`),
    );
    expect(entries[0]?.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    expect(await logText(container.logs({ tail: 1 }))).toBe('half');
    expect(await logText(container.logs({ tail: 0 }))).toBe('');
    const third = new Date(entries.find((entry) => entry.text === 'o3\n')?.time ?? '');
    expect(await logText(container.logs({ since: third }))).toMatch(/^o3\n/);
    expect(await logText(container.logs({ until: third }))).toMatch(/o2\n(.|\n)*$/);
  });

  it('can be followed to the end, and left before', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run(script('for i in $(seq 20); do echo $i; sleep 0.05; done'));
    for await (const { text: line } of container.logs({ follow: true })) if (line === '3\n') break;
    for await (const { text: line } of container.logs({ tail: 1 })) if (line !== '') break; // leaves no descriptor, either
    expect(await logText(container.logs({ follow: true }))).toBe(
      `${Array.from({ length: 20 }, (_, i) => i + 1).join('\n')}\n`,
    );
  });

  it('is rotated, and followed through its rotations', async () => {
    await using t = await testEngine();
    const spec = {
      ...script('sleep 0.2; seq 3000'),
      log: { driver: 'json-file', maxSizeBytes: 20_000, maxFiles: 30 },
    } as const;
    const { container } = await t.engine.run(spec);
    const followed = await logText(container.logs({ follow: true }));
    const wanted = `${Array.from({ length: 3000 }, (_, i) => i + 1).join('\n')}\n`;
    expect(followed).toBe(wanted);
    expect(await logText(container.logs())).toBe(wanted);
    const few = await t.engine.run({ ...spec, log: { ...spec.log, maxFiles: 2 } });
    await few.wait();
    const kept = await logText(few.container.logs());
    expect(wanted.endsWith(kept)).toBe(true);
    expect(kept.length).toBeLessThan(3000);
  });

  it('is not there where it is not wanted', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({ ...script('echo secret; sleep 1000'), log: { driver: 'none' } });
    expect(await failureOf(logText(container.logs()))).toBe(
      'ENGINE_NO_SUCH_PATH: configured logging driver does not support reading',
    );
  });
});

describeRoot('exec', () => {
  beforeAll(warmUp);

  it('runs a further process as the container, or as told', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({ ...idle, env: ['A=1', 'B=2'], workingDir: '/data', hostname: 'inside' });
    const run = async (spec: Parameters<typeof container.exec>[0]): Promise<[string, number]> => {
      const attachment = await container.exec(spec);
      const [out, code] = [text(attachment.stdout), await attachment.exitCode];
      return [await out, code];
    };
    expect(await run({ command: ['sh', '-c', 'echo $A $B $PWD $(hostname) $(id -u) $$ $HOME'] })).toEqual([
      expect.stringMatching(/^1 2 \/data inside 0 \d+ \/root\n$/),
      0,
    ]);
    const other = { command: ['sh', '-c', 'echo $A $B $PWD $(id -u):$(id -G) $HOME; exit 5'], user: 'alice' };
    expect(await run({ ...other, env: ['B=3', 'C=4'], workingDir: '/tmp' })).toEqual([
      '1 3 /tmp 1000:1000 29 50 /home/alice\n',
      5,
    ]);
    expect(await run({ command: ['tty'], tty: true })).toEqual(['/dev/pts/0\r\n', 0]);
    expect((await run({ command: ['sh', '-c', 'kill -9 $$'] }))[1]).toBe(137);
    const [own] = await run({ command: ['grep', '-E', 'Cap|Seccomp:|NoNew', '/proc/1/status'] });
    expect((await run({ command: ['grep', '-E', 'Cap|Seccomp:|NoNew', '/proc/self/status'] }))[0]).toBe(own);
    const [all] = await run({ command: ['grep', 'CapEff', '/proc/self/status'], privileged: true });
    expect(Number.parseInt(all.split('\t')[1] ?? '', 16)).toBeGreaterThan(0xff_ffff_ffff);
  });

  it('says why it could not', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run(idle);
    const failed = (...command: string[]): Promise<string> => failureOf(container.exec({ command }));
    expect(await failed('nothing')).toBe(
      'ENGINE_COMMAND_NOT_FOUND: exec failed: exec: "nothing": executable file not found in $PATH',
    );
    expect(await failed('/bin')).toBe('ENGINE_COMMAND_NOT_EXECUTABLE: exec failed: exec: "/bin": is a directory');
    expect(await failed('/bin/not-executable')).toBe(
      'ENGINE_COMMAND_NOT_EXECUTABLE: exec failed: exec: "/bin/not-executable": permission denied',
    );
    expect(await failureOf(container.exec({ command: ['true'], user: 'bob' }))).toBe(
      'ENGINE_START_FAILED: exec failed: unable to find user bob: no matching entries in passwd file',
    );
    await container.kill();
    expect(await failed('true')).toMatch(/^ENGINE_CONTAINER_NOT_RUNNING: container \w+ is not running$/);
  });

  it('relays standard input, and can be left', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run(idle);
    const attachment = await container.exec({ command: ['cat'], openStdin: true });
    attachment.stdin?.end('through');
    expect(await text(attachment.stdout)).toBe('through');
    await container.exec({ command: ['sh', '-c', 'sleep 0.2; touch /tmp/done'], detach: true });
    await until('its deed', () => container.statPath('/tmp/done'));
  });

  it('says that the container is gone when it ends meanwhile', async () => {
    await using t = await testEngine();
    for (let round = 0; round < 10; round += 1) {
      const { container } = await t.engine.run({ ...idle, command: ['sleep', '0.1'], autoRemove: true });
      await sleep(60 + round * 8);
      const ended = await failureOf(container.exec({ command: ['sleep', '1'] }).then(({ exitCode }) => exitCode));
      expect(ended).toMatch(/^(it succeeded|ENGINE_CONTAINER_NOT_RUNNING: .*|ENGINE_NO_SUCH_CONTAINER: .*)$/);
      await until('the end', () => t.engine.listContainers({ all: true }).length === 0);
    }
    expect((await sh(t.engine, 'true')).exitCode).toBe(0);
  });
});
