import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { openEngine } from '../src/index.ts';
import type { ContainerSpec } from '../src/index.ts';
import { startChild } from './child.ts';
import {
  failureOf,
  leftovers,
  logText,
  noCleanupRuns,
  removeAll,
  sh,
  testEngine,
  text,
  until,
  warmUp,
} from './test-engine.ts';

const KILLS = 40;

const ticking: ContainerSpec = {
  image: 'busybox',
  name: 'ticking',
  command: ['sh', '-c', 'trap "exit 5" TERM; while :; do echo tick; sleep 0.1; done'],
  ports: [{ protocol: 'tcp', containerPort: 80 }],
};

const parentOf = (pid: number): number =>
  Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1]);

describeRoot('when the engine is killed', () => {
  beforeAll(warmUp);

  it('its container runs on, and another engine takes over', async () => {
    await using t = await testEngine();
    const child = await startChild('run-container', { layout: t.layout, spec: ticking });
    await child.kill();
    const container = t.engine.container('ticking');
    expect(container.id).toBe(child.firstWord);
    expect(t.engine.listContainers()).toMatchObject([{ name: 'ticking', status: 'running' }]);
    const seen = [];
    for await (const { text: line } of container.logs({ follow: true })) if (seen.push(line) === 12) break;
    expect(seen).toEqual(Array(12).fill('tick\n'));
    const attachment = await container.exec({ command: ['cat', '/proc/1/cmdline'] });
    expect((await text(attachment.stdout)).split('\0')[0]).toBe('sh');
    expect(await attachment.exitCode).toBe(0);
    await container.stop();
    expect(container.inspect().State).toMatchObject({ Status: 'exited', ExitCode: 5 });
    await container.remove();
    expect(t.engine.listContainers({ all: true })).toEqual([]);
  });

  it('nobody is needed to clean up after a container that ends', async () => {
    await using t = await testEngine();
    const spec = { ...ticking, command: ['sleep', '0.5'], autoRemove: true };
    const child = await startChild('run-container', { layout: t.layout, spec });
    await child.kill();
    await until('its removal', () => t.engine.listContainers({ all: true }).length === 0);
  });

  it(`at any of ${String(KILLS)} moments, everything can still be removed and made anew`, async () => {
    await using t = await testEngine();
    const spec: ContainerSpec = {
      image: 'busybox',
      name: 'victim',
      command: ['sleep', '1000'],
      mounts: [{ type: 'volume', target: '/data' }],
      ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 18_273, hostAddress: '127.0.0.1' }],
    };
    for (let kill = 0; kill < KILLS; kill += 1) {
      const child = await startChild('run-stop-remove', { layout: t.layout, spec });
      await sleep((kill * 37) % 150);
      await child.kill();
      const engine = await openEngine(t.layout);
      try {
        await removeAll(engine);
        const { container } = await engine.run(spec);
        await container.remove({ force: true, volumes: true });
      } finally {
        await engine.close();
      }
      await noCleanupRuns(t.layout);
      expect(leftovers(t.layout)).toEqual([]);
    }
  }, 240_000);
});

describeRoot('when a monitor is killed', () => {
  beforeAll(warmUp);

  it.each([undefined, 'alice'])('its container ends with it and can be started again (user %s)', async (user) => {
    await using t = await testEngine();
    const running = await t.engine.run({ ...ticking, ...(user === undefined ? {} : { user }) });
    const { container } = running;
    const { Pid: pid } = container.inspect().State;
    process.kill(parentOf(pid), 'SIGKILL');
    expect(await running.wait()).toBe(255);
    await until('the end', () => container.inspect().State.Status === 'exited');
    expect(container.inspect().State.ExitCode).toBe(255);
    await until('the end of the process', () => {
      try {
        return !process.kill(pid, 0);
      } catch {
        return true;
      }
    });
    await container.start();
    expect(container.inspect().State.Status).toBe('running');
    await container.remove({ force: true });
  });
});

describeRoot('between two processes', () => {
  beforeAll(warmUp);

  it('a container starts again the moment it has ended', async () => {
    await using t = await testEngine();
    const spec = { ...ticking, command: ['sh', '-c', 'while [ ! -e /data/stop ]; do sleep 0.01; done; rm /data/stop'] };
    const child = await startChild('run-container', { layout: t.layout, spec, then: ['leave'] });
    await child.end();
    const container = t.engine.container('ticking');
    for (let round = 0; round < 5; round += 1) {
      const { Pid: pid } = container.inspect().State;
      await (
        await container.exec({ command: ['touch', '/data/stop'] })
      ).exitCode;
      await until('the end', () => container.inspect().State.Pid !== pid);
      await container.start();
      const { Pid: next } = container.inspect().State;
      expect(next).not.toBe(pid);
      await sleep(400); // long enough for a cleanup command that comes late
      expect(container.inspect().State).toMatchObject({ Status: 'running', Pid: next });
      expect(await logText(container.logs())).toBe('');
    }
  });

  it('one name goes to one of many', async () => {
    await using t = await testEngine();
    const engines = [t.engine, await t.another(), await t.another()];
    const tries = [...engines, ...engines].map((engine) =>
      failureOf(engine.createContainer({ image: 'busybox', name: 'only' })),
    );
    const results = await Promise.all(tries);
    expect(results.filter((result) => result === 'it succeeded')).toHaveLength(1);
    expect(results.filter((result) => result.startsWith('ENGINE_NAME_IN_USE'))).toHaveLength(5);
  });

  it('one start of many starts it', async () => {
    await using t = await testEngine();
    const container = await t.engine.createContainer(ticking);
    const other = (await t.another()).container('ticking');
    await Promise.all([container.start(), other.start(), container.start(), other.start()]);
    expect((await sh(t.engine, 'true')).exitCode).toBe(0);
    const pids = await container.exec({ command: ['sh', '-c', 'pwd >/dev/null; ls -d /proc/[0-9]*'] });
    expect((await text(pids.stdout)).split('\n').filter((line) => line === '/proc/1')).toHaveLength(1);
  });

  it('a removal while it starts leaves nothing', async () => {
    await using t = await testEngine();
    for (let round = 0; round < 10; round += 1) {
      const container = await t.engine.createContainer({ ...ticking, ports: [] });
      const other = (await t.another()).container('ticking');
      const start = failureOf(container.start());
      await sleep(round);
      await other.remove({ force: true });
      expect(await start).toMatch(/it succeeded|ENGINE_NO_SUCH_CONTAINER/);
      expect(t.engine.listContainers({ all: true })).toEqual([]);
    }
  });
});
