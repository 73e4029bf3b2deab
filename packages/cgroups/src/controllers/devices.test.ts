import { describe, expect, it } from '@jest/globals';

import type { DeviceRule } from '../limits.ts';
import { planDevices } from './devices.ts';

const v1 = { version: 1, directory: '/v1' } as const;
const v2 = { version: 2, directory: '/v2' } as const;

const denyAll: DeviceRule = { allow: false, type: 'a', major: '*', minor: '*', access: 'rwm' };
const allowAll: DeviceRule = { ...denyAll, allow: true };
const allowNull: DeviceRule = { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' };

const plan = (devices: readonly DeviceRule[], present?: object): string[] =>
  planDevices({ devices }, v1, present).map((step) =>
    step.type === 'write' ? `${step.path} ${step.data}` : step.type,
  );

describe('planDevices on v1', () => {
  it('denies everything, then allows', () => {
    expect(plan([denyAll, allowNull])).toEqual(['/v1/devices.deny a', '/v1/devices.allow c 1:3 rw']);
  });

  it('allows everything, then denies', () => {
    expect(plan([allowAll, { ...allowNull, allow: false }])).toEqual([
      '/v1/devices.allow a',
      '/v1/devices.deny c 1:3 rw',
    ]);
  });

  it('leaves a new group that may use everything as it is', () => {
    expect(plan([allowAll])).toEqual([]);
    expect(plan([allowAll], {})).toEqual(['/v1/devices.allow a']);
  });

  it('refuses an exception to an exception, which the kernel would ignore', () => {
    expect(() => plan([denyAll, { ...allowNull, minor: '*' }, { ...allowNull, allow: false }])).toThrow(
      expect.objectContaining({
        code: 'CGROUP_LIMIT_UNSUPPORTED',
        message: 'cannot set devices: cgroup v1 cannot deny "c 1:3 rw" within a wider rule',
      }),
    );
  });
});

describe('planDevices on v2', () => {
  it('attaches a program', () => {
    expect(planDevices({ devices: [denyAll] }, v2)).toEqual([
      { type: 'device-program', directory: '/v2', instructions: expect.any(Uint8Array) },
    ]);
  });

  it('refuses to change the rules later', () => {
    expect(() => planDevices({ devices: [denyAll] }, v2, {})).toThrow(
      expect.objectContaining({ code: 'CGROUP_LIMIT_UNSUPPORTED' }),
    );
  });
});
