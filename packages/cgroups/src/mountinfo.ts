/** A cgroup file system, as one line of /proc/self/mountinfo tells it. */
export interface CgroupMount {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /** The cgroup that the mount shows as its top: `/` unless bind-mounted or seen from another cgroup namespace. */
  readonly root: string;
  /** The options of the file system: on v1 its controllers, several when co-mounted (`cpu,cpuacct`). */
  readonly options: readonly string[];
}

/**
 * The cgroup mounts of a mountinfo text, in its order. Pure.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
 */
export function parseCgroupMounts(mountinfo: string): readonly CgroupMount[] {
  return mountinfo.split('\n').flatMap((line) => {
    // Optional fields end with a lone hyphen: 36 35 98:0 /root /mount rw,noatime shared:1 - type source options
    const separator = line.indexOf(' - ');
    const [type = '', , options = ''] = line.slice(separator + 3).split(' ');
    if (separator < 0 || (type !== 'cgroup' && type !== 'cgroup2')) return [];
    const [, , , root = '', mountPoint = ''] = line.slice(0, separator).split(' ');
    return [
      {
        version: type === 'cgroup' ? 1 : 2,
        mountPoint: unescapeOctal(mountPoint),
        root: unescapeOctal(root),
        options: options.split(','),
      } as const,
    ];
  });
}

/** Blanks, line ends and backslashes are written as three octal digits. */
const unescapeOctal = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
