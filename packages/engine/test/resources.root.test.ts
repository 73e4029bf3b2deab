import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { openCgroup, probeCgroups } from '@tsc/cgroups';
import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import type { ContainerSpec } from '../src/index.ts';
import { cgroupPath } from '../src/cgroup.ts';
import { sh, testEngine, warmUp } from './test-engine.ts';

const spec: ContainerSpec = { image: 'busybox', network: 'none' };

/** CPU time of a process and the children that it has waited for, in seconds. */
function cpuSeconds(pid: number): number {
  const fields =
    readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
      .split(') ')[1]
      ?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

describeRoot('resources', () => {
  beforeAll(warmUp);

  it('kill a container that takes more memory than it may, and say so', async () => {
    await using t = await testEngine();
    const running = await t.engine.run({
      ...spec,
      command: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'],
      resources: { memoryMaxBytes: 64 * 1024 ** 2 },
    });
    expect(await running.wait()).toBe(137);
    expect(running.container.inspect().State).toMatchObject({ Status: 'exited', ExitCode: 137, OOMKilled: true });
    const fitting = await t.engine.run({ ...spec, command: ['true'], resources: { memoryMaxBytes: 64 * 1024 ** 2 } });
    expect(await fitting.wait()).toBe(0);
    expect(fitting.container.inspect().State.OOMKilled).toBe(false);
  });

  it('hold a container to its share of CPU time', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({
      ...spec,
      command: ['sh', '-c', 'while :; do :; done'],
      resources: { cpus: 0.5 },
    });
    const pid = container.inspect().State.Pid;
    await sleep(300);
    const [cpu, begun] = [cpuSeconds(pid), performance.now()];
    await sleep(2000);
    const share = (cpuSeconds(pid) - cpu) / ((performance.now() - begun) / 1000);
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.6);
    const { throttling } = {
      throttling: openCgroup(cgroupPath(t.layout, container.id), { facts: probeCgroups() }).stats(),
    };
    expect(
      JSON.stringify(throttling, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
    ).toMatch(/hrottle/);
  });

  it('hold a container to its number of processes', async () => {
    await using t = await testEngine();
    const script = 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo started';
    const limited = await sh(t.engine, script, { resources: { pidsMax: 5 } });
    expect(limited.stderr).toContain("can't fork");
    expect((await sh(t.engine, script, { resources: { pidsMax: 50 } })).stdout).toBe('started\n');
  });

  it('make a container a likelier or an unlikelier victim', async () => {
    await using t = await testEngine();
    const { stdout } = await sh(t.engine, 'cat /proc/self/oom_score_adj', { resources: { oomScoreAdj: 321 } });
    expect(stdout).toBe('321\n');
  });
});
