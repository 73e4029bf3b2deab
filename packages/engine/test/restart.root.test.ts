import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import type { ContainerSpec } from '../src/index.ts';
import { startChild } from './child.ts';
import { failureOf, logText, testEngine, until, warmUp } from './test-engine.ts';

const failing: ContainerSpec = {
  image: 'busybox',
  name: 'failing',
  command: ['sh', '-c', 'echo started; sleep 0.1; exit 4'],
  ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 18_274, hostAddress: '127.0.0.1' }],
};

/** Restarts are the cleanup command's work, which a monitor runs: these tests need a build of this package. */
describeRoot('a restart policy', () => {
  beforeAll(warmUp);

  it('starts a container as often as it says, with its ports, and then leaves it', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({ ...failing, restart: { name: 'on-failure', maximumRetryCount: 2 } });
    await until('the last end', () => {
      const { RestartCount: count, State: state } = container.inspect();
      return count === 2 && state.Status === 'exited';
    });
    expect(await logText(container.logs())).toBe('started\n'.repeat(3));
    expect(container.inspect().State).toMatchObject({ ExitCode: 4, Restarting: false, Error: '' });
  });

  it('leaves a container alone that has done its work', async () => {
    await using t = await testEngine();
    const command = ['sh', '-c', 'echo done'];
    const running = await t.engine.run({ ...failing, command, restart: { name: 'on-failure' } });
    expect(await running.wait()).toBe(0);
    expect(running.container.inspect()).toMatchObject({ RestartCount: 0, State: { Status: 'exited' } });
  });

  it('goes on without an engine until somebody stops it', async () => {
    await using t = await testEngine();
    const spec: ContainerSpec = { ...failing, restart: { name: 'always' } };
    const child = await startChild('run-container', { layout: t.layout, spec });
    await child.kill();
    const container = t.engine.container('failing');
    await until('three starts', async () => (await logText(container.logs())).split('\n').length > 3, 20_000);
    expect(container.inspect().RestartCount).toBeGreaterThanOrEqual(2);
    await container.stop();
    expect(container.inspect().State).toMatchObject({ Running: false, Restarting: false, Status: 'exited' });
    const count = container.inspect().RestartCount;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(container.inspect()).toMatchObject({ RestartCount: count, State: { Status: 'exited' } });
    await container.start();
    expect(container.inspect().RestartCount).toBe(0);
    await container.remove({ force: true });
    expect(await failureOf(container.stop())).toMatch(/^ENGINE_NO_SUCH_CONTAINER/);
  });
});
