import type { ControllerGroup } from '../controller.ts';
import { parseFlatKeyed, readInterfaceFile, writeInterfaceFile } from '../interface-file.ts';
import { waitUntil, type Waiting } from '../waiting.ts';

const STATE_V1 = 'freezer.state';

const FREEZE_V2 = 'cgroup.freeze';
const EVENTS_V2 = 'cgroup.events';

/** Stops every process of the group and its child groups, and waits until all stand still; thaws them if not. */
export async function freezeGroup(group: ControllerGroup, waiting: Waiting): Promise<void> {
  using undo = new DisposableStack();
  requestFreeze(group);
  undo.defer(() => {
    thawGroup(group);
  });
  await waitUntil(() => {
    if (isFrozen(group)) return true;
    // v1 may stay FREEZING when processes fork meanwhile; another write freezes those it missed.
    if (group.version === 1) requestFreeze(group);
    return false;
  }, waiting);
  undo.move();
}

export function thawGroup({ version, directory }: ControllerGroup): void {
  if (version === 1) writeInterfaceFile(`${directory}/${STATE_V1}`, 'THAWED');
  else writeInterfaceFile(`${directory}/${FREEZE_V2}`, '0');
}

/** Whether everything stands still; a group without processes counts as frozen once asked to freeze. */
export function isFrozen({ version, directory }: ControllerGroup): boolean {
  if (version === 1) return readInterfaceFile(`${directory}/${STATE_V1}`).trim() === 'FROZEN';
  return parseFlatKeyed(readInterfaceFile(`${directory}/${EVENTS_V2}`)).get('frozen') === 1n;
}

function requestFreeze({ version, directory }: ControllerGroup): void {
  if (version === 1) writeInterfaceFile(`${directory}/${STATE_V1}`, 'FROZEN');
  else writeInterfaceFile(`${directory}/${FREEZE_V2}`, '1');
}
