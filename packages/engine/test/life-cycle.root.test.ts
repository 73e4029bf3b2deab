import { readdirSync } from 'node:fs';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { openEngine } from '../src/index.ts';
import type { ContainerSpec } from '../src/index.ts';
import { failureOf, logText, sh, testEngine, until, warmUp } from './test-engine.ts';

const idle: ContainerSpec = { image: 'busybox', command: ['sleep', '1000'], network: 'none' };

describeRoot('a container', () => {
  beforeAll(warmUp);

  it('runs to its end and says how it ended', async () => {
    await using t = await testEngine();
    expect(await sh(t.engine, 'echo out; echo err >&2; exit 3')).toEqual({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(t.engine.listContainers({ all: true })).toEqual([]);
  });

  it('lives through create, start, restart, stop and remove', async () => {
    await using t = await testEngine();
    const container = await t.engine.createContainer({
      image: 'busybox',
      name: 'box',
      command: ['sh', '-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.1; done'],
      network: 'none',
    });
    expect(container.inspect().State).toMatchObject({ Status: 'created', Running: false, Pid: 0, ExitCode: 0 });
    await container.start();
    await until('its first word', async () => (await logText(container.logs())).includes('ready'));
    const first = container.inspect().State;
    expect(first).toMatchObject({ Status: 'running', Running: true, ExitCode: 0 });
    expect(first.Pid).toBeGreaterThan(1);
    await container.restart();
    expect(container.inspect().State.Pid).not.toBe(first.Pid);
    await until('its second word', async () => (await logText(container.logs())) === 'ready\nready\n');
    expect(await failureOf(container.remove())).toBe(
      'ENGINE_CONTAINER_RUNNING: cannot remove container "/box": container is running: stop the container before removing or force remove',
    );
    await container.stop();
    expect(container.inspect().State).toMatchObject({ Status: 'exited', Running: false, Pid: 0, ExitCode: 7 });
    await container.stop(); // stopped already is fine
    await container.remove();
    expect(await failureOf(container.start())).toMatch(/^ENGINE_NO_SUCH_CONTAINER: no such container: [0-9a-f]{64}$/);
  });

  it('ends by SIGKILL when it does not stop in time, and by the stop signal of its image', async () => {
    await using t = await testEngine({ changes: ['STOPSIGNAL SIGUSR1'] });
    const deaf = await t.engine.run({ ...idle, command: ['sh', '-c', 'trap "" USR1; while :; do sleep 0.1; done'] });
    await deaf.container.stop({ timeoutMs: 300 });
    expect(deaf.container.inspect().State.ExitCode).toBe(137);
    const hearing = await t.engine.run({
      ...idle,
      command: ['sh', '-c', 'trap "exit 9" USR1; echo on; while :; do sleep 0.1; done'],
    });
    await until('its trap', async () => (await logText(hearing.container.logs())) === 'on\n');
    await hearing.container.stop();
    expect(hearing.container.inspect().State.ExitCode).toBe(9);
    expect(await failureOf(hearing.container.kill())).toMatch(
      /^ENGINE_CONTAINER_NOT_RUNNING: container \w+ is not run/,
    );
  });

  it('can be killed by a signal of any name, and waited for from elsewhere', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({ ...idle, name: 'waited' });
    const other = (await t.another()).container('waited');
    const waits = [other.wait(), container.wait(), other.wait()];
    await container.kill('kill');
    expect(await Promise.all(waits)).toEqual([137, 137, 137]);
    expect(await failureOf(container.kill('SIGNONE'))).toBe('RUNTIME_INVALID_SIGNAL: invalid signal: SIGNONE');
    const removed = other.wait({ condition: 'removed' });
    await container.remove();
    expect(await removed).toBe(137);
  });

  it('tells its last exit code to who waits for its removal', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({ ...idle, command: ['sh', '-c', 'sleep 0.3; exit 6'], autoRemove: true });
    const other = (await t.another()).container(container.id);
    expect(await other.wait({ condition: 'removed' })).toBe(6);
    expect(t.engine.listContainers({ all: true })).toEqual([]);
  });

  it('has a name of its own until it is gone', async () => {
    await using t = await testEngine();
    const first = await t.engine.createContainer({ image: 'busybox', name: 'first' });
    const second = await t.engine.createContainer({ image: 'busybox' });
    expect(second.name).toMatch(/^[a-z]+_[a-z]+$/);
    expect(await failureOf(t.engine.createContainer({ image: 'busybox', name: 'first' }))).toBe(
      `ENGINE_NAME_IN_USE: conflict: the container name "/first" is already in use by container "${first.id}"; remove or rename that container to reuse the name`,
    );
    second.rename('other');
    expect(t.engine.container('other').id).toBe(second.id);
    expect(() => {
      second.rename('first');
    }).toThrow('already in use');
    expect(t.engine.container(first.id.slice(0, 6)).name).toBe('first');
    await first.remove();
    second.rename('first');
    expect(t.engine.listContainers({ all: true }).map(({ name }) => name)).toEqual(['first']);
    expect(() => t.engine.container('other')).toThrow('no such container: other');
  });

  it('is shown by inspect and list in the shape that Docker gives it', async () => {
    await using t = await testEngine({ changes: ['ENV FROM=image', 'LABEL a=b', 'EXPOSE 80'] });
    const { container } = await t.engine.run({
      ...idle,
      name: 'shown',
      labels: { c: 'd' },
      network: 'bridge',
      ports: [{ protocol: 'tcp', containerPort: 80 }],
      resources: { memoryMaxBytes: 64 * 1024 ** 2, pidsMax: 10 },
    });
    const shown = container.inspect();
    expect(shown).toMatchObject({
      Id: container.id,
      Name: '/shown',
      Path: 'sleep',
      Args: ['1000'],
      State: { Status: 'running', Paused: false, OOMKilled: false, Dead: false, Error: '' },
      Config: { Image: 'busybox', Labels: { a: 'b', c: 'd' }, Cmd: ['sleep', '1000'], ExposedPorts: { '80/tcp': {} } },
      HostConfig: { Memory: 64 * 1024 ** 2, PidsLimit: 10, NetworkMode: 'bridge', RestartPolicy: { Name: 'no' } },
    });
    expect(shown.Config['Env']).toContain('FROM=image');
    expect(shown.NetworkSettings.IPAddress).toMatch(/^172\.\d+\.0\.\d+$/);
    const hostPort = Number(shown.NetworkSettings.Ports['80/tcp']?.[0]?.HostPort);
    expect(hostPort).toBeGreaterThan(1024);
    expect(t.engine.listContainers()).toMatchObject([
      {
        id: container.id,
        name: 'shown',
        image: 'busybox',
        command: ['sleep', '1000'],
        status: 'running',
        labels: { a: 'b', c: 'd' },
        ports: [{ protocol: 'tcp', hostAddress: '0.0.0.0', hostPort, containerPort: 80 }],
      },
    ]);
    await container.kill();
    expect(t.engine.listContainers()).toEqual([]);
    expect(t.engine.listContainers({ all: true })).toMatchObject([{ status: 'exited', exitCode: 137, ports: [] }]);
  });

  it('outlives its engine, which lets go of it when it is closed', async () => {
    await using t = await testEngine();
    const other = await openEngine(t.layout);
    const before = readdirSync('/proc/self/fd').length;
    const running = await other.run({ ...idle, name: 'left' });
    await other.close();
    await until('the end of the connection', () => readdirSync('/proc/self/fd').length <= before + 1);
    expect(t.engine.container('left').inspect().State.Status).toBe('running');
    const end = running.wait();
    await t.engine.container('left').kill();
    expect(await end).toBe(137);
  });
});
