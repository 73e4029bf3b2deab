import type { ControllerGroup } from '../controller.ts';
import { compileDeviceProgram } from '../devices/program.ts';
import { normalizeDeviceRules, type NormalRule, type NormalRules } from '../devices/rules.ts';
import { unsupportedLimit } from '../limit-value.ts';
import type { CgroupLimits } from '../limits.ts';
import { writeEntry, type CgroupStep, type CgroupWrite } from '../step.ts';

const ALLOW_V1 = 'devices.allow';
const DENY_V1 = 'devices.deny';

/**
 * The steps that set device rules: writes on v1, a BPF program on v2. Pure.
 *
 * @param present - given for a group that is not new
 * @throws CgroupError `CGROUP_LIMIT_UNSUPPORTED`: v1 cannot say it, or v2 cannot change it
 */
export function planDevices(limits: CgroupLimits, group: ControllerGroup, present?: object): readonly CgroupStep[] {
  if (limits.devices === undefined) return [];
  const normal = normalizeDeviceRules(limits.devices);
  if (group.version === 1) {
    // Left as it is, a new group has its parent's rules; `allow a` would ask for more where the parent is restricted.
    const inherits = present === undefined && normal.defaultAllow && normal.rules.length === 0;
    return inherits ? [] : planV1(normal, group);
  }
  // Another program would not replace the first one: a device is allowed when all programs of the group allow it.
  if (present !== undefined) {
    throw unsupportedLimit('devices', 'on cgroup v2 the rules of a group are set when it is created');
  }
  const { directory } = group;
  return [{ type: 'device-program', directory, instructions: compileDeviceProgram(normal) }];
}

function planV1({ defaultAllow, rules }: NormalRules, group: ControllerGroup): CgroupWrite[] {
  const restated = rules.find((rule) => rule.allow === defaultAllow);
  if (restated !== undefined) {
    // v1 has a default and a set of exceptions, no order: an exception to an exception is silently ignored.
    const word = restated.allow ? 'allow' : 'deny';
    throw unsupportedLimit('devices', `cgroup v1 cannot ${word} "${formatRule(restated)}" within a wider rule`);
  }
  // `a` sets the default and forgets all exceptions. The kernel refuses it (EINVAL) while there are child groups.
  return [
    writeEntry(group, defaultAllow ? ALLOW_V1 : DENY_V1, 'a'),
    ...rules.map((rule) => writeEntry(group, rule.allow ? ALLOW_V1 : DENY_V1, formatRule(rule))),
  ];
}

const formatRule = ({ type, major, minor, access }: NormalRule): string =>
  `${type} ${String(major)}:${String(minor)} ${access}`;
