/** A range of user or group ids: `containerId` and the next ones inside are `hostId` and the next ones outside. */
export interface IdMapping {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

/** One id less than fits into 32 bits is nobody: -1 means "leave as it is" to the kernel. */
const ID_LIMIT = 0xffff_ffff;

/** @throws TypeError for what the kernel would call EINVAL: no or bad ranges, or ones that overlap */
export function checkIdMap(map: readonly IdMapping[]): void {
  if (map.length === 0) throw new TypeError('an id map is empty');
  for (const { containerId, hostId, size } of map) {
    const valid =
      [containerId, hostId, size].every((number) => Number.isSafeInteger(number) && number >= 0) &&
      size > 0 &&
      Math.max(containerId, hostId) + size <= ID_LIMIT;
    if (!valid) throw new TypeError(`not a range of ids: ${containerId} ${hostId} ${size}`);
  }
  for (const side of ['containerId', 'hostId'] as const) {
    const sorted = [...map].sort((a, b) => a[side] - b[side]);
    const overlap = sorted.find((range, index) => {
      const before = sorted[index - 1];
      return before !== undefined && before[side] + before.size > range[side];
    });
    if (overlap !== undefined) throw new TypeError(`ranges of ids overlap at ${side} ${overlap[side]}`);
  }
}

/** The text of `/proc/<pid>/uid_map`. */
export const formatIdMap = (map: readonly IdMapping[]): string =>
  map.map(({ containerId, hostId, size }) => `${containerId} ${hostId} ${size}\n`).join('');

/** Whether somebody inside has this id. */
export const mapsInside = (map: readonly IdMapping[], id: number): boolean =>
  map.some(({ containerId, size }) => id >= containerId && id < containerId + size);
