import type { ContainerSpec } from '@tsc/engine';

import { badValue } from '../errors.ts';
import { list, text, toggle, value } from '../flags/flag.ts';
import { parseLabelFile, parseLabels } from '../words/assignment.ts';
import { parseLog } from '../words/log.ts';
import { parseRestart } from '../words/restart.ts';
import { readNamedFile } from './file.ts';
import { flagGroup, given } from './group.ts';
import type { FlagGroup } from './group.ts';

type LifecycleRequest = Pick<ContainerSpec, 'name' | 'labels' | 'restart' | 'autoRemove' | 'log'>;

/** What the container is called, what is kept of it and when it comes back. */
export const lifecycleGroup: FlagGroup<LifecycleRequest> = flagGroup(
  {
    label: list('Set meta data on a container', { short: 'l' }),
    'label-file': list('Read in a line delimited file of labels'),
    'log-driver': text('Logging driver for the container'),
    'log-opt': list('Log driver options'),
    name: text('Assign a name to the container'),
    restart: value('Restart policy to apply when a container exits', parseRestart, { shownDefault: '"no"' }),
    rm: toggle('Automatically remove the container when it exits'),
  },
  (values) => {
    if (values.rm && values.restart !== undefined && values.restart.name !== 'no') {
      throw badValue('conflicting options: cannot specify both --restart and --rm');
    }
    const fromFiles = values['label-file'].flatMap((file) => parseLabelFile(readNamedFile(file), file));
    const labels = parseLabels([...fromFiles, ...values.label]);
    return given({
      name: values.name,
      labels: Object.keys(labels).length === 0 ? undefined : labels,
      restart: values.restart,
      autoRemove: values.rm || undefined,
      log: parseLog(values['log-driver'], values['log-opt']),
    });
  },
);
