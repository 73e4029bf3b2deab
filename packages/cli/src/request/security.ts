import type { ContainerSpec } from '@tsc/engine';

import { list, toggle } from '../flags/flag.ts';
import { parseAssignments } from '../words/assignment.ts';
import { parseSecurityOptions } from '../words/security.ts';
import { readNamedFile } from './file.ts';
import { flagGroup, given, unlessEmpty } from './group.ts';
import type { FlagGroup } from './group.ts';

type SecurityRequest = Pick<
  ContainerSpec,
  'capAdd' | 'capDrop' | 'privileged' | 'readOnlyRootfs' | 'noNewPrivileges' | 'seccompProfile' | 'sysctls'
>;

/** What the container may do. */
export const securityGroup: FlagGroup<SecurityRequest> = flagGroup(
  {
    'cap-add': list('Add Linux capabilities'),
    'cap-drop': list('Drop Linux capabilities'),
    privileged: toggle('Give extended privileges to this container'),
    'read-only': toggle("Mount the container's root filesystem as read only"),
    'security-opt': list('Security Options'),
    sysctl: list('Sysctl options', { valueName: 'map' }),
  },
  (values) =>
    given({
      capAdd: unlessEmpty(values['cap-add']),
      capDrop: unlessEmpty(values['cap-drop']),
      privileged: values.privileged || undefined,
      readOnlyRootfs: values['read-only'] || undefined,
      ...parseSecurityOptions(values['security-opt'], readNamedFile),
      sysctls: values.sysctl.length === 0 ? undefined : parseAssignments(values.sysctl, '--sysctl'),
    }),
);
