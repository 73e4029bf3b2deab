import { readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { CWD_SLOT, NO_SLOT, encodeProgram } from './start-program.ts';
import type { Operation } from './start-program.ts';

interface Decoded {
  readonly opcode: number;
  readonly args: Buffer;
}

interface DecodedProgram {
  readonly magic: string;
  readonly size: number;
  readonly inherited: number;
  readonly operations: readonly Decoded[];
}

/** Reads a program as native/init/program.c does. */
function decode(bytes: Buffer): DecodedProgram {
  const operations: Decoded[] = [];
  let at = 24;
  for (let count = bytes.readUInt32LE(12); count > 0; count--) {
    const size = bytes.readUInt32LE(at + 4);
    operations.push({ opcode: bytes.readUInt32LE(at), args: bytes.subarray(at + 8, at + 8 + size) });
    at += 8 + size;
  }
  expect(at).toBe(bytes.length);
  return {
    magic: bytes.toString('latin1', 0, 8),
    size: bytes.readUInt32LE(8),
    inherited: bytes.readUInt32LE(16),
    operations,
  };
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  number(): bigint {
    this.#at += 8;
    return this.#bytes.readBigInt64LE(this.#at - 8);
  }
  blob(): Buffer {
    const length = Number(this.number());
    const blob = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += Math.ceil(length / 8) * 8;
    return blob;
  }
  text(): string {
    const blob = this.blob();
    expect(blob.at(-1)).toBe(0);
    return blob.toString('utf8', 0, blob.length - 1);
  }
  list(): string[] {
    return Array.from({ length: Number(this.number()) }, () => this.text());
  }
  end(): void {
    expect(this.#at).toBe(this.#bytes.length);
  }
}

const readerOf = (operation: Operation): Reader =>
  new Reader(decode(encodeProgram({ inherited: 0, operations: [operation] })).operations[0]?.args ?? Buffer.alloc(0));

/** One of each, in the order of their numbers. */
const all: readonly Operation[] = [
  { op: 'keep' },
  { op: 'clone', flags: 0 },
  { op: 'open', slot: 0, path: '', flags: 0 },
  { op: 'close', slot: 0 },
  { op: 'writeFile', path: '', data: '' },
  { op: 'setns', fd: 0, nstype: 0 },
  { op: 'unshare', flags: 0 },
  { op: 'mount', target: '', flags: 0 },
  { op: 'fsopen', slot: 0, fstype: '' },
  { op: 'fsconfig', fs: 0, command: 0 },
  { op: 'fsmount', slot: 0, fs: 0, attributes: 0 },
  { op: 'openTree', slot: 0, path: '', flags: 0 },
  { op: 'mountSetattr', fd: 0, flags: 0, set: 0, clear: 0 },
  { op: 'moveMount', from: 0, to: 0 },
  { op: 'resolve', slot: 0, root: 0, path: '', missing: 'fail' },
  { op: 'mknodat', dir: 0, path: '', mode: 0, major: 0, minor: 0 },
  { op: 'symlinkat', target: '', dir: 0, path: '' },
  { op: 'pivotRoot', root: 0 },
  { op: 'sethostname', name: '' },
  { op: 'setdomainname', name: '' },
  { op: 'prlimit', resource: 0, soft: 0n, hard: 0n },
  { op: 'prctl', option: 0 },
  { op: 'setgroups', groups: [] },
  { op: 'setresgid', gid: 0 },
  { op: 'setresuid', uid: 0 },
  { op: 'capset', effective: 0n, permitted: 0n, inheritable: 0n },
  { op: 'capbound', mask: 0n },
  { op: 'capambient', mask: 0n },
  { op: 'seccomp', flags: 0, filter: new Uint8Array(0) },
  { op: 'umask', mask: 0 },
  { op: 'chdir', path: '' },
  { op: 'keyring' },
  { op: 'terminal', devpts: 0, slot: 0, rows: 0, columns: 0 },
  { op: 'mask', root: 0, nullDevice: 0, path: '' },
  { op: 'readonly', root: 0, path: '' },
  { op: 'verifyFs', fd: 0, magic: 0 },
  { op: 'loopbackUp' },
  { op: 'reap' },
  { op: 'exec', candidates: [], argv: [], envp: [], dieWithMonitor: false },
  { op: 'mkdirat', dir: 0, path: '', mode: 0 },
  { op: 'stdioOwner', uid: 0, gid: 0 },
];

describe('encodeProgram', () => {
  it('writes a header with the size, the number of operations and of inherited descriptors', () => {
    const bytes = encodeProgram({ inherited: 3, operations: [{ op: 'reap' }, { op: 'keyring' }] });
    expect(decode(bytes)).toMatchObject({ magic: 'TSCINIT1', size: bytes.length, inherited: 3 });
    expect(bytes).toHaveLength(24 + 2 * 8);
    expect(decode(encodeProgram({ inherited: 0, operations: [] })).operations).toEqual([]);
  });

  it('gives each operation the number that tsc-init knows it by', () => {
    const header = readFileSync(new URL('../native/init/program.h', import.meta.url), 'utf8');
    const names = /enum opcode \{([^}]*)\}/.exec(header)?.[1]?.match(/OP_\w+/g) ?? [];
    expect(all.map(({ op }) => `OP_${op.replace(/(?<=[a-z])[A-Z]/g, '_$&').toUpperCase()}`)).toEqual(names);
    const { operations } = decode(encodeProgram({ inherited: 0, operations: all }));
    expect(operations.map(({ opcode }) => opcode)).toEqual(names.map((_, index) => index + 1));
  });

  it('writes texts with their end, padded to eight bytes', () => {
    for (const path of ['', '/', '1234567', '12345678', '/ä/😀']) {
      const reader = readerOf({ op: 'chdir', path });
      expect(reader.text()).toBe(path);
      reader.end();
    }
  });

  it('refuses a text with a NUL, which would end early in C', () => {
    expect(() => encodeProgram({ inherited: 0, operations: [{ op: 'chdir', path: '/a\0b' }] })).toThrow(TypeError);
    const exec = { op: 'exec', candidates: ['a'], argv: ['a', 'b\0'], envp: [], dieWithMonitor: true } as const;
    expect(() => encodeProgram({ inherited: 0, operations: [exec] })).toThrow('holds a NUL');
  });

  it("writes numbers of 64 bits, negative ones in two's complement", () => {
    const reader = readerOf({ op: 'prlimit', resource: 7, soft: -1n, hard: 2n ** 64n - 1n });
    expect([reader.number(), reader.number(), reader.number()]).toEqual([7n, -1n, -1n]);
    const keep = readerOf({ op: 'keep' });
    keep.number();
    expect([keep.number(), keep.number(), keep.number(), keep.text()]).toEqual([
      ...Array<bigint>(3).fill(BigInt(NO_SLOT)),
      '',
    ]);
    const open = readerOf({ op: 'open', slot: 4, path: 'x', flags: 2 });
    expect([open.number(), open.number(), open.text(), open.number()]).toEqual([4n, BigInt(CWD_SLOT), 'x', 2n]);
  });

  it('writes lists with their lengths', () => {
    const exec = { op: 'exec', candidates: ['/bin/a', '/a'], argv: ['a'], envp: [], dieWithMonitor: true } as const;
    const reader = readerOf(exec);
    expect([reader.number(), reader.list(), reader.list(), reader.list()]).toEqual([1n, ['/bin/a', '/a'], ['a'], []]);
    reader.end();
  });

  it('writes what is kept as one set of flags', () => {
    const flags = ['terminal', 'stdin', 'stdinOnce', 'attached', 'inherit'].map((name) =>
      Number(readerOf({ op: 'keep', [name]: true }).number()),
    );
    expect(flags).toEqual([1, 2, 4, 8, 16]);
  });

  it('grows with what is written', () => {
    const groups = Array.from({ length: 40_000 }, (_, index) => index);
    const reader = readerOf({ op: 'setgroups', groups });
    const blob = reader.blob();
    expect(Array.from({ length: blob.length / 4 }, (_, index) => blob.readUInt32LE(index * 4))).toEqual(groups);
    reader.end();
  });
});
