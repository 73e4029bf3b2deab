import type { ControllerGroup } from './controller.ts';
import { thawGroup } from './controllers/freezer.ts';
import { childDirectories } from './directory.ts';
import { isCgroupError } from './errors.ts';
import { parseFlatKeyed, readInterfaceFile, writeInterfaceFile } from './interface-file.ts';
import { killProcesses, listPids } from './processes.ts';
import { waitUntil, type Waiting } from './waiting.ts';

const KILL_V2 = 'cgroup.kill';
const EVENTS_V2 = 'cgroup.events';

/** Whether the group or one below it has a process. */
export function isPopulated({ version, directory }: ControllerGroup): boolean {
  if (version === 1) return listPids(directory).length > 0;
  return parseFlatKeyed(readInterfaceFile(`${directory}/${EVENTS_V2}`)).get('populated') === 1n;
}

/**
 * Kills everything in a group and below it, and waits until it is empty.
 *
 * @param freezer - on v1 the group's freezer directory, if it has one
 */
export async function killGroup(
  group: ControllerGroup,
  freezer: ControllerGroup | undefined,
  waiting: Waiting,
): Promise<void> {
  waiting.signal?.throwIfAborted();
  if (group.version === 2 && killAtOnce(group)) {
    await waitUntil(() => !isPopulated(group), waiting);
    return;
  }
  await waitUntil(() => {
    killProcesses(group.directory);
    if (freezer?.version === 1) thawTree(freezer); // v1 delivers no signal to a frozen process, not even SIGKILL
    return !isPopulated(group);
  }, waiting);
}

/** Since Linux 5.14: no process can fork its way out. */
function killAtOnce({ directory }: ControllerGroup): boolean {
  try {
    writeInterfaceFile(`${directory}/${KILL_V2}`, '1');
    return true;
  } catch (error) {
    if (isCgroupError(error) && error.errno === 'ENOENT') return false;
    throw error;
  }
}

function thawTree(group: ControllerGroup): void {
  thawGroup(group);
  for (const directory of childDirectories(group.directory)) {
    try {
      thawTree({ ...group, directory });
    } catch (error) {
      // Removed since we listed it, and so nothing in it was frozen.
      if (!isCgroupError(error) || error.code !== 'CGROUP_NOT_FOUND') throw error;
    }
  }
}
