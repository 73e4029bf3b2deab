import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { failureOf, logText, sh, testEngine, until, warmUp } from './test-engine.ts';

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
});
