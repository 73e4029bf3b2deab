import type { ControllerGroup } from '../controller.ts';
import { readOptional } from '../interface-file.ts';
import { checkInteger, checkMaximum } from '../limit-value.ts';
import type { BlkioThrottle, CgroupLimits } from '../limits.ts';
import { write, writeEntry, type CgroupWrite } from '../step.ts';

const WEIGHT_V1 = 'blkio.weight'; // the CFQ scheduler's, until Linux 5.0
const BFQ_WEIGHT_V1 = 'blkio.bfq.weight';
const BYTES_V1 = 'blkio.throttle.io_service_bytes_recursive';
const OPERATIONS_V1 = 'blkio.throttle.io_serviced_recursive';

const WEIGHT_V2 = 'io.weight'; // the io.cost controller's
const BFQ_WEIGHT_V2 = 'io.bfq.weight';
const MAX_V2 = 'io.max';
const STAT_V2 = 'io.stat';

/** The limits of a device: the name of ours, v1's file, v2's key. */
const THROTTLES = [
  ['readBytesPerSecond', 'blkio.throttle.read_bps_device', 'rbps'],
  ['writeBytesPerSecond', 'blkio.throttle.write_bps_device', 'wbps'],
  ['readOperationsPerSecond', 'blkio.throttle.read_iops_device', 'riops'],
  ['writeOperationsPerSecond', 'blkio.throttle.write_iops_device', 'wiops'],
] as const;

/** What went to and from one block device. */
export interface BlkioDeviceStats {
  readonly major: number;
  readonly minor: number;
  readonly readBytes: bigint;
  readonly writeBytes: bigint;
  readonly readOperations: bigint;
  readonly writeOperations: bigint;
}

/** The writes that limit block I/O. Pure. */
export const planBlkio = (limits: CgroupLimits, group: ControllerGroup): readonly CgroupWrite[] => [
  ...planWeight(limits, group),
  ...(limits.blkioThrottle ?? []).flatMap((throttle) => planThrottle(throttle, group)),
];

function planWeight({ blkioWeight }: CgroupLimits, group: ControllerGroup): CgroupWrite[] {
  if (blkioWeight === undefined) return [];
  const weight = checkInteger('blkioWeight', blkioWeight, { min: 10, max: 1000 });
  return group.version === 1
    ? [{ ...writeEntry(group, WEIGHT_V1, String(weight)), fallback: write(group, BFQ_WEIGHT_V1, weight) }]
    : [{ ...writeEntry(group, BFQ_WEIGHT_V2, String(weight)), fallback: planCostWeight(group, weight) }];
}

/** io.weight goes from 1 to 10000: a straight line, as runc draws it. It reads back with a word before the number. */
const planCostWeight = (group: ControllerGroup, weight: number): CgroupWrite =>
  writeEntry(group, WEIGHT_V2, String(1 + Math.floor(((weight - 10) * 9999) / 990)));

function planThrottle(throttle: BlkioThrottle, group: ControllerGroup): CgroupWrite[] {
  const device = formatDevice(throttle);
  return THROTTLES.flatMap(([name, fileV1, keyV2]) => {
    const value = throttle[name];
    if (value === undefined) return [];
    const rate = checkMaximum(`blkioThrottle.${name}`, value, { min: 1 });
    // v1 has 0 for no limit.
    return group.version === 1
      ? [writeEntry(group, fileV1, `${device} ${rate === 'max' ? '0' : String(rate)}`)]
      : [writeEntry(group, MAX_V2, `${device} ${keyV2}=${String(rate)}`)];
  });
}

function formatDevice({ major, minor }: BlkioThrottle): string {
  checkInteger('blkioThrottle.major', major, { min: 0 });
  checkInteger('blkioThrottle.minor', minor, { min: 0 });
  return `${String(major)}:${String(minor)}`;
}

/** `undefined` when the controller is not enabled for this group. */
export function readBlkioStats(group: ControllerGroup): readonly BlkioDeviceStats[] | undefined {
  const read = (file: string): string | undefined => readOptional(`${group.directory}/${file}`);
  if (group.version === 2) {
    const text = read(STAT_V2);
    return text === undefined ? undefined : parseIoStat(text);
  }
  const bytes = read(BYTES_V1);
  return bytes === undefined ? undefined : joinServiced(parseServiced(bytes), parseServiced(read(OPERATIONS_V1) ?? ''));
}

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0` per device. */
const parseIoStat = (text: string): BlkioDeviceStats[] =>
  text.split('\n').flatMap((line) => {
    const [device = '', ...fields] = line.split(' ');
    const values = new Map(fields.map((field) => field.split('=') as [string, string | undefined]));
    const of = (key: string): bigint => BigInt(values.get(key) ?? 0);
    if (!device.includes(':')) return [];
    return [
      {
        ...parseDevice(device),
        readBytes: of('rbytes'),
        writeBytes: of('wbytes'),
        readOperations: of('rios'),
        writeOperations: of('wios'),
      },
    ];
  });

/** `8:0 Read 4096` per device and direction, with sums at the end. */
const parseServiced = (text: string): ReadonlyMap<string, bigint> =>
  new Map(
    text.split('\n').flatMap((line) => {
      const [device = '', direction = '', count] = line.split(' ');
      return count === undefined ? [] : [[`${device} ${direction}`, BigInt(count)] as const];
    }),
  );

function joinServiced(bytes: ReadonlyMap<string, bigint>, operations: ReadonlyMap<string, bigint>): BlkioDeviceStats[] {
  const devices = new Set([...bytes.keys()].map((key) => key.slice(0, key.indexOf(' '))));
  return [...devices].map((device) => ({
    ...parseDevice(device),
    readBytes: bytes.get(`${device} Read`) ?? 0n,
    writeBytes: bytes.get(`${device} Write`) ?? 0n,
    readOperations: operations.get(`${device} Read`) ?? 0n,
    writeOperations: operations.get(`${device} Write`) ?? 0n,
  }));
}

function parseDevice(device: string): { readonly major: number; readonly minor: number } {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return { major, minor };
}
