import { closeSync, constants, existsSync, lstatSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { temporaryDirectory } from '../test/temporary-directory.ts';
import { native } from './binding.ts';
import { FileBatch, syncfsInPool } from './file-batch.ts';
import { fgetxattr } from './file.ts';

const CREATE = { flags: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, mode: 0o600 };

describe('FileBatch', () => {
  it('does all in order', async () => {
    using dir = temporaryDirectory();
    const batch = new FileBatch();
    const bytes = Buffer.from('some bytes');
    batch.openat2(dir.fd, 'a', CREATE);
    batch.pwrite(bytes.subarray(5), 5);
    batch.pwrite(bytes.subarray(0, 5), 0);
    batch.ftruncate(9);
    batch.fchmod(0o4711);
    batch.fsetxattr('user.note', Buffer.from([0, 1]));
    batch.futimens({ atimeNs: 1n, mtimeNs: -1_500_000_000n });
    batch.openat2(dir.fd, 'nobody opens two', CREATE);
    const { error, operation, fd, next } = await batch.run();
    expect(error).toMatchObject({ code: 'EPROTO', syscall: 'openat2' });
    expect([operation, next.operation]).toEqual([7, 8]);
    expect(fgetxattr(fd, 'user.note')).toEqual(Buffer.from([0, 1]));
    const stat = lstatSync(dir.at('a'), { bigint: true });
    expect([stat.mode & 0o7777n, stat.atimeNs, stat.mtimeNs]).toEqual([0o4711n, 1n, -1_500_000_000n]);
    expect(readFileSync(dir.at('a'), 'utf8')).toBe('some byte');
    closeSync(fd);
  });

  it('writes a part of the bytes, far behind 4 GiB too, and times of all signs', async () => {
    using dir = temporaryDirectory();
    const [batch, bytes, far] = [new FileBatch(), Buffer.from('[some bytes]').subarray(1, -1), 2 ** 33 + 5];
    const times = [-1_500_000_000n, 4_294_967_296_000_000_007n, 4_294_967_296_000_000_007n, -1n];
    for (const [index, ns] of times.entries()) {
      batch.openat2(dir.fd, String(index), CREATE);
      batch.pwrite(bytes, far, 5);
      batch.pwrite(bytes, far - 2, 1, 2);
      batch.futimens({ atimeNs: ns, mtimeNs: ns });
      batch.close();
    }
    expect(() => batch.pwrite(bytes, 0, 5, 6)).toThrow(RangeError);
    expect(await batch.run()).toMatchObject({ error: undefined });
    for (const [index, ns] of times.entries()) {
      const stat = lstatSync(dir.at(String(index)), { bigint: true });
      expect([stat.size, stat.atimeNs, stat.mtimeNs]).toEqual([BigInt(far + 5), ns, ns]);
      const fd = openSync(dir.at(String(index)), 'r');
      const read = Buffer.alloc(8);
      expect([readSync(fd, read, 0, 8, far - 3), read.toString()]).toEqual([8, '\0ombytes']);
      closeSync(fd);
    }
  });

  it('stops at a failure, and goes on behind it with a descriptor of the caller', async () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('b'), 'here before');
    const batch = new FileBatch();
    for (const name of ['a', 'b', 'c']) {
      batch.openat2(dir.fd, name, CREATE);
      batch.pwrite(Buffer.from(name), 0);
      batch.close();
    }
    const first = await batch.run();
    expect(first.error).toMatchObject({ code: 'EEXIST', syscall: 'openat2', path: 'b' });
    expect([first.operation, first.fd]).toEqual([3, -1]);
    expect(existsSync(dir.at('c'))).toBe(false);
    const second = await batch.run(openSync(dir.at('b'), 'r+'), first.next);
    expect(second).toMatchObject({ error: undefined, operation: 9, fd: -1 });
    expect(['a', 'b', 'c'].map((name) => readFileSync(dir.at(name), 'utf8'))).toEqual(['a', 'bere before', 'c']);
  });

  it('hands an open descriptor to the next batch', async () => {
    using dir = temporaryDirectory();
    const [begin, end] = [new FileBatch(), new FileBatch()];
    begin.openat2(dir.fd, 'large', CREATE);
    begin.pwrite(Buffer.alloc(3, 'a'), 0);
    end.pwrite(Buffer.alloc(3, 'b'), 3);
    end.close();
    const { fd } = await begin.run();
    expect(await end.run(fd)).toMatchObject({ error: undefined, fd: -1 });
    expect(readFileSync(dir.at('large'), 'utf8')).toBe('aaabbb');
  });

  it('takes thousands of operations, and nothing at all', async () => {
    using dir = temporaryDirectory();
    const batch = new FileBatch();
    for (let i = 0; i < 5000; i += 1) {
      batch.openat2(dir.fd, `f${String(i)}`, CREATE);
      batch.close();
    }
    expect(await batch.run()).toMatchObject({ error: undefined, operation: 10_000 });
    expect(existsSync(dir.at('f4999'))).toBe(true);
    expect(await new FileBatch().run()).toMatchObject({ error: undefined, operation: 0, fd: -1 });
  });

  it('makes names whose bytes are not UTF-8', async () => {
    using dir = temporaryDirectory();
    const batch = new FileBatch();
    batch.openat2(dir.fd, 'ä\udcff', CREATE);
    batch.close();
    await batch.run();
    expect(existsSync(Buffer.concat([Buffer.from(`${dir.path}/ä`), Buffer.from([0xff])]))).toBe(true);
  });

  it.each([
    ['an unknown operation', [99]],
    ['cut arguments', [1, 0]],
    ['a string that is not there', [1, 0, 0, 0, 0, 7]],
    ['bytes that are not there', [2, 0, 0, 100, 0, 0]],
    ['memory that is not there', [2, 3, 0, 0, 0, 0]],
  ])('refuses a program with %s', async (_name, words) => {
    const program = Buffer.from(Uint32Array.from(words).buffer);
    const answer = await native().run_file_batch(program, [], [new Uint8Array(10)], 0, -1);
    expect(answer.error).toMatchObject({ code: 'EPROTO' });
  });

  it('refuses arguments of other types before anything is done', () => {
    const run =
      (...args: readonly unknown[]) =>
      (): unknown =>
        (native().run_file_batch as (...args: readonly unknown[]) => unknown)(...args);
    expect(run('x', [], [], 0, -1)).toThrow(/^run_file_batch: argument/);
    expect(run(new Uint8Array(0), ['a\0b'], [], 0, -1)).toThrow(/^run_file_batch: argument/);
    expect(run(new Uint8Array(0), [], [new Uint16Array(1)], 0, -1)).toThrow(/^run_file_batch: argument/);
    expect(run(new Uint8Array(0), [], [], 1, -1)).toThrow(/^run_file_batch: argument/);
  });

  it('syncs a file system', async () => {
    using dir = temporaryDirectory();
    await syncfsInPool(dir.fd);
    await expect(syncfsInPool(9999)).rejects.toMatchObject({ code: 'EBADF', syscall: 'syncfs' });
  });
});
