/**
 * A descriptor of tsc-init by number. The first slots are the descriptors it was started with
 * ({@link StartProgram.inherited}); operations fill others.
 */
export type Slot = number;

/** No descriptor, where an operation takes an optional one. */
export const NO_SLOT: Slot = -1;
/** The current directory, where an operation takes a directory. */
export const CWD_SLOT: Slot = -100;

/** What `resolve` makes of a path that doesn't exist: nothing, directories, or directories and an empty file. */
export type ResolveMissing = 'fail' | 'make-directory' | 'make-file';

/** How tsc-init keeps the process that it starts. */
export interface KeepSettings {
  /** The child makes a terminal (operation `terminal`) that the monitor owns the other end of. */
  readonly terminal?: boolean | undefined;
  /** Standard input is a pipe; otherwise `/dev/null`. */
  readonly stdin?: boolean | undefined;
  /** Standard input ends when the engine's connection does. */
  readonly stdinOnce?: boolean | undefined;
  /** The engine's connection gets the output from its first byte on. */
  readonly attached?: boolean | undefined;
  /** The child keeps the monitor's own standard streams: nothing is relayed. */
  readonly inherit?: boolean | undefined;
  /** A listening socket for those who attach later. */
  readonly listener?: Slot | undefined;
  /** The directory that gets `started` and `exit`. */
  readonly runDir?: Slot | undefined;
  readonly log?:
    { readonly dir: Slot; readonly name: string; readonly maxSizeBytes: number; readonly maxFiles: number } | undefined;
  /** Slots that the child alone needs: the monitor closes them once it is made, and holds on to the others. */
  readonly release?: readonly Slot[] | undefined;
  /** Run at the end unless the engine is still connected and says that it has cleaned up. */
  readonly cleanupCommand?: readonly string[] | undefined;
}

/**
 * One step of a start program. Names and arguments are the system calls' own; `slot` is where a new descriptor goes.
 * Everything before `clone` happens in the monitor, everything after it in the new process.
 */
export type Operation =
  | ({ readonly op: 'keep' } & KeepSettings)
  | {
      readonly op: 'clone';
      readonly flags: number;
      readonly cgroup?: Slot;
      readonly uidMap?: string;
      readonly gidMap?: string;
    }
  | {
      readonly op: 'open';
      readonly slot: Slot;
      readonly dir?: Slot;
      readonly path: string;
      readonly flags: number;
      readonly mode?: number;
      readonly resolve?: number;
    }
  | { readonly op: 'close'; readonly slot: Slot }
  | {
      readonly op: 'writeFile';
      readonly dir?: Slot;
      readonly path: string;
      readonly resolve?: number;
      readonly data: string;
    }
  | { readonly op: 'setns'; readonly fd: Slot; readonly nstype: number }
  | { readonly op: 'unshare'; readonly flags: number }
  | {
      readonly op: 'mount';
      readonly source?: string;
      readonly target: string;
      readonly fstype?: string;
      readonly flags: number;
      readonly data?: string;
    }
  | { readonly op: 'fsopen'; readonly slot: Slot; readonly fstype: string }
  | {
      readonly op: 'fsconfig';
      readonly fs: Slot;
      readonly command: number;
      readonly key?: string;
      readonly value?: string;
    }
  | { readonly op: 'fsmount'; readonly slot: Slot; readonly fs: Slot; readonly attributes: number }
  | { readonly op: 'openTree'; readonly slot: Slot; readonly dir?: Slot; readonly path: string; readonly flags: number }
  | {
      readonly op: 'mountSetattr';
      readonly fd: Slot;
      readonly flags: number;
      readonly set: number;
      readonly clear: number;
      readonly propagation?: number;
      readonly userns?: Slot;
    }
  /** Attaches a mount on the file or directory in slot `to`, or on `path` below it. */
  | { readonly op: 'moveMount'; readonly from: Slot; readonly to: Slot; readonly path?: string }
  /** Opens `path` (O_PATH) with openat2 RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS below `root`. */
  | {
      readonly op: 'resolve';
      readonly slot: Slot;
      readonly root: Slot;
      readonly path: string;
      readonly missing: ResolveMissing;
      readonly resolve?: number;
    }
  | { readonly op: 'mkdirat'; readonly dir: Slot; readonly path: string; readonly mode: number }
  | {
      readonly op: 'mknodat';
      readonly dir: Slot;
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    }
  | { readonly op: 'symlinkat'; readonly target: string; readonly dir: Slot; readonly path: string }
  /** Makes the mount in the slot the root, takes the old root off and goes to `/`. */
  | { readonly op: 'pivotRoot'; readonly root: Slot }
  | { readonly op: 'sethostname'; readonly name: string }
  | { readonly op: 'setdomainname'; readonly name: string }
  | { readonly op: 'prlimit'; readonly resource: number; readonly soft: bigint; readonly hard: bigint }
  | { readonly op: 'prctl'; readonly option: number; readonly args?: readonly number[] }
  | { readonly op: 'setgroups'; readonly groups: readonly number[] }
  | { readonly op: 'setresgid'; readonly gid: number }
  | { readonly op: 'setresuid'; readonly uid: number }
  | { readonly op: 'capset'; readonly effective: bigint; readonly permitted: bigint; readonly inheritable: bigint }
  /** Drops every capability outside `mask` from the bounding set. */
  | { readonly op: 'capbound'; readonly mask: bigint }
  /** Sets the ambient set to `mask`. */
  | { readonly op: 'capambient'; readonly mask: bigint }
  /** `filter` is an array of `struct sock_filter`. */
  | { readonly op: 'seccomp'; readonly flags: number; readonly filter: Uint8Array }
  | { readonly op: 'umask'; readonly mask: number }
  /** Changes directory and fails if that led outside the root. */
  | { readonly op: 'chdir'; readonly path: string }
  /** Joins a new session keyring. */
  | { readonly op: 'keyring' }
  /** Makes a terminal in the devpts mount in slot `devpts`, with its slave in `slot` and on 0, 1 and 2. */
  | {
      readonly op: 'terminal';
      readonly devpts: Slot;
      readonly slot: Slot;
      readonly rows: number;
      readonly columns: number;
    }
  /** Hides a path below `root`: a directory under an empty one, a file under the null device in `nullDevice`. */
  | { readonly op: 'mask'; readonly root: Slot; readonly nullDevice: Slot; readonly path: string }
  /** Makes a path below `root` read-only, if it is there. */
  | { readonly op: 'readonly'; readonly root: Slot; readonly path: string }
  /** Fails unless the descriptor is on a file system with this magic number. */
  | { readonly op: 'verifyFs'; readonly fd: Slot; readonly magic: number }
  | { readonly op: 'loopbackUp' }
  /** Stays as this process and carries on in a child: a small init that reaps and passes signals on. */
  | { readonly op: 'reap' }
  /** Gives pipes and terminals on 0, 1 and 2 to a user. */
  | { readonly op: 'stdioOwner'; readonly uid: number; readonly gid: number }
  /** Tries each of `candidates` as execvp would those in PATH. */
  | {
      readonly op: 'exec';
      readonly candidates: readonly string[];
      readonly argv: readonly string[];
      readonly envp: readonly string[];
      readonly dieWithMonitor: boolean;
    };

/** What tsc-init carries out. Plain data: print it, compare it, keep it in a file. */
export interface StartProgram {
  /** How many descriptors it is started with; they are slots 0 to `inherited - 1`. */
  readonly inherited: number;
  readonly operations: readonly Operation[];
}

type Argument = number | bigint | string | Uint8Array | readonly string[];
type OperationName = Operation['op'];
type Encoder = { readonly [N in OperationName]: (op: Extract<Operation, { op: N }>) => readonly Argument[] };

/** The numbers are `enum opcode` of native/init/program.h. */
const opcodes: Readonly<Record<OperationName, number>> = {
  keep: 1,
  clone: 2,
  open: 3,
  close: 4,
  writeFile: 5,
  setns: 6,
  unshare: 7,
  mount: 8,
  fsopen: 9,
  fsconfig: 10,
  fsmount: 11,
  openTree: 12,
  mountSetattr: 13,
  moveMount: 14,
  resolve: 15,
  mknodat: 16,
  symlinkat: 17,
  pivotRoot: 18,
  sethostname: 19,
  setdomainname: 20,
  prlimit: 21,
  prctl: 22,
  setgroups: 23,
  setresgid: 24,
  setresuid: 25,
  capset: 26,
  capbound: 27,
  capambient: 28,
  seccomp: 29,
  umask: 30,
  chdir: 31,
  keyring: 32,
  terminal: 33,
  mask: 34,
  readonly: 35,
  verifyFs: 36,
  loopbackUp: 37,
  reap: 38,
  exec: 39,
  mkdirat: 40,
  stdioOwner: 41,
};

const missingKinds: Readonly<Record<ResolveMissing, number>> = { fail: 0, 'make-directory': 1, 'make-file': 2 };

const slotBytes = (slots: readonly Slot[]): Uint8Array => new Uint8Array(Uint32Array.from(slots).buffer);

const keepFlags = (keep: KeepSettings): number =>
  (keep.terminal === true ? 1 : 0) |
  (keep.stdin === true ? 2 : 0) |
  (keep.stdinOnce === true ? 4 : 0) |
  (keep.attached === true ? 8 : 0) |
  (keep.inherit === true ? 16 : 0);

/** Each operation's arguments, in the order in which native/init reads them. */
const encoders: Encoder = {
  keep: (op) => [
    keepFlags(op),
    op.listener ?? NO_SLOT,
    op.runDir ?? NO_SLOT,
    op.log?.dir ?? NO_SLOT,
    op.log?.name ?? '',
    op.log?.maxSizeBytes ?? 0,
    op.log?.maxFiles ?? 1,
    op.cleanupCommand ?? [],
    slotBytes(op.release ?? []),
  ],
  clone: (op) => [op.flags, op.cgroup ?? NO_SLOT, op.uidMap ?? '', op.gidMap ?? ''],
  open: (op) => [op.slot, op.dir ?? CWD_SLOT, op.path, op.flags, op.mode ?? 0, op.resolve ?? 0],
  close: (op) => [op.slot],
  writeFile: (op) => [op.dir ?? CWD_SLOT, op.path, op.resolve ?? 0, Buffer.from(op.data)],
  setns: (op) => [op.fd, op.nstype],
  unshare: (op) => [op.flags],
  mount: (op) => [op.source ?? '', op.target, op.fstype ?? '', op.flags, op.data ?? ''],
  fsopen: (op) => [op.slot, op.fstype],
  fsconfig: (op) => [op.fs, op.command, op.key ?? '', op.value ?? ''],
  fsmount: (op) => [op.slot, op.fs, op.attributes],
  openTree: (op) => [op.slot, op.dir ?? CWD_SLOT, op.path, op.flags],
  mountSetattr: (op) => [op.fd, op.flags, op.set, op.clear, op.propagation ?? 0, op.userns ?? NO_SLOT],
  moveMount: (op) => [op.from, op.to, op.path ?? ''],
  resolve: (op) => [op.slot, op.root, op.path, missingKinds[op.missing], op.resolve ?? 0],
  mkdirat: (op) => [op.dir, op.path, op.mode],
  mknodat: (op) => [op.dir, op.path, op.mode, op.major, op.minor],
  symlinkat: (op) => [op.target, op.dir, op.path],
  pivotRoot: (op) => [op.root],
  sethostname: (op) => [op.name],
  setdomainname: (op) => [op.name],
  prlimit: (op) => [op.resource, op.soft, op.hard],
  prctl: (op) => [op.option, ...[0, 1, 2, 3].map((index) => op.args?.[index] ?? 0)],
  setgroups: (op) => [slotBytes(op.groups)],
  setresgid: (op) => [op.gid],
  setresuid: (op) => [op.uid],
  capset: (op) => [op.effective, op.permitted, op.inheritable],
  capbound: (op) => [op.mask],
  capambient: (op) => [op.mask],
  seccomp: (op) => [op.flags, op.filter],
  umask: (op) => [op.mask],
  chdir: (op) => [op.path],
  keyring: () => [],
  terminal: (op) => [op.devpts, op.slot, op.rows, op.columns],
  mask: (op) => [op.root, op.nullDevice, op.path],
  readonly: (op) => [op.root, op.path],
  verifyFs: (op) => [op.fd, op.magic],
  loopbackUp: () => [],
  reap: () => [],
  stdioOwner: (op) => [op.uid, op.gid],
  exec: (op) => [op.dieWithMonitor ? 1 : 0, op.candidates, op.argv, op.envp],
};

const HEADER_BYTES = 24;

/** Grows as it is written to; every argument starts on a multiple of eight. */
class ProgramWriter {
  #bytes: Buffer = Buffer.alloc(16 * 1024);
  #length = HEADER_BYTES;

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    return at;
  }

  operation(opcode: number, args: readonly Argument[]): void {
    const at = this.#reserve(8);
    for (const arg of args) this.#argument(arg);
    this.#bytes.writeUInt32LE(opcode, at);
    this.#bytes.writeUInt32LE(this.#length - at - 8, at + 4);
  }

  #argument(arg: Argument): void {
    if (typeof arg === 'number' || typeof arg === 'bigint') this.#number(arg);
    else if (typeof arg === 'string') this.#text(arg);
    else if (arg instanceof Uint8Array) this.#blob(arg, arg.length);
    else {
      this.#number(arg.length);
      for (const text of arg) this.#text(text);
    }
  }

  #number(value: number | bigint): void {
    const at = this.#reserve(8);
    this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at);
  }

  #text(text: string): void {
    if (text.includes('\0')) throw new TypeError(`a start program's text holds a NUL: ${JSON.stringify(text)}`);
    const bytes = Buffer.from(text);
    this.#blob(bytes, bytes.length + 1);
  }

  #blob(bytes: Uint8Array, length: number): void {
    this.#number(length);
    const at = this.#reserve((length + 7) & ~7);
    this.#bytes.set(bytes, at);
  }

  finish(count: number, inherited: number): Buffer {
    this.#bytes.write('TSCINIT1', 0);
    this.#bytes.writeUInt32LE(this.#length, 8);
    this.#bytes.writeUInt32LE(count, 12);
    this.#bytes.writeUInt32LE(inherited, 16);
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Turns a start program into the bytes that tsc-init maps and carries out. */
export function encodeProgram(program: StartProgram): Buffer {
  const writer = new ProgramWriter();
  for (const operation of program.operations) {
    const encode = encoders[operation.op] as (op: Operation) => readonly Argument[];
    writer.operation(opcodes[operation.op], encode(operation));
  }
  return writer.finish(program.operations.length, program.inherited);
}
