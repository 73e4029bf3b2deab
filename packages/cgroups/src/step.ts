import type { ControllerGroup } from './controller.ts';

/** One write of a whole value to a cgroup's interface file. */
export interface CgroupWrite {
  readonly type: 'write';
  readonly path: string;
  readonly data: string;
  /** The file reads back as one value that can be written again, to undo. */
  readonly restorable: boolean;
  /** Used instead where the kernel has no such file. */
  readonly fallback?: CgroupWrite | undefined;
}

/** A BPF program that decides about devices, attached to a v2 cgroup. */
export interface CgroupDeviceProgram {
  readonly type: 'device-program';
  readonly directory: string;
  /** eBPF, 8 bytes per instruction. */
  readonly instructions: Uint8Array;
}

/** What a plan is made of; plain data, performed in order. */
export type CgroupStep = CgroupWrite | CgroupDeviceProgram;

export const write = (group: ControllerGroup, file: string, data: string | number): CgroupWrite => ({
  type: 'write',
  path: `${group.directory}/${file}`,
  data: String(data),
  restorable: true,
});

/** A write to a file that collects entries, or reads back as something else than what was written. */
export const writeEntry = (group: ControllerGroup, file: string, data: string): CgroupWrite => ({
  ...write(group, file, data),
  restorable: false,
});
