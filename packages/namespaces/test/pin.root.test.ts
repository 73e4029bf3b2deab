import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CLONE_NEWNET, CLONE_NEWUTS, unshare } from '@tsc/sys';
import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { NamespaceHandle, listNamespaces, openNamespace, pinNamespace, unpinNamespace } from '../src/index.ts';

const temporaryDir = (): Disposable & { readonly path: string } => {
  const path = mkdtempSync(join(tmpdir(), 'pins-'));
  return { path, [Symbol.dispose]: () => rmdirSync(path) };
};
const newNamespace = async (type: 'net' | 'uts'): Promise<NamespaceHandle> => {
  const [fd = -1] = await unshare(type === 'net' ? CLONE_NEWNET : CLONE_NEWUTS);
  return new NamespaceHandle(type, fd);
};
const listed = (inode: number): object[] => listNamespaces().filter((namespace) => namespace.inode === inode);

describeRoot('a pinned namespace', () => {
  it('lives without a process or descriptor, and is the same one when it is opened again', async () => {
    using dir = temporaryDir();
    const pin = join(dir.path, 'with space');
    using made = await newNamespace('net');
    pinNamespace(made.fd, pin);
    made.close();
    expect(listed(made.inode)).toEqual([{ type: 'net', inode: made.inode, pids: [], pinnedAt: [pin] }]);
    using again = openNamespace(pin, 'net');
    expect(again.inode).toBe(made.inode);
    expect(execFileSync('nsenter', [`--net=${pin}`, 'ip', '-o', 'link'], { encoding: 'utf8' })).toMatch(
      /^1: lo: [^\n]*\n$/,
    );
    unpinNamespace(pin);
    expect(listed(made.inode)).toEqual([]);
    expect(existsSync(pin)).toBe(false);
  });

  it('can be unpinned while somebody holds it, and twice', async () => {
    using dir = temporaryDir();
    const pin = join(dir.path, 'pin');
    using made = await newNamespace('uts');
    pinNamespace(made.fd, pin);
    using held = openNamespace(pin, 'uts');
    unpinNamespace(pin);
    unpinNamespace(pin);
    expect(held.inode).toBe(made.inode);
  });

  it('is listed with the processes in it', async () => {
    using made = await newNamespace('net');
    const child = spawn('nsenter', ['--net=/proc/self/fd/3', 'cat'], { stdio: ['pipe', 'pipe', 'inherit', made.fd] });
    child.stdin?.write('entered');
    await once(child.stdout ?? child, 'data');
    const pids = listNamespaces({ types: ['net'] }).find(({ inode }) => inode === made.inode)?.pids;
    child.stdin?.end();
    await once(child, 'close');
    expect(pids).toEqual([child.pid]);
  });

  it('is not laid over what is there already', async () => {
    using dir = temporaryDir();
    const pin = join(dir.path, 'file');
    writeFileSync(pin, 'precious');
    using made = await newNamespace('uts');
    expect(() => {
      pinNamespace(made.fd, pin);
    }).toThrow(expect.objectContaining({ code: 'NAMESPACE_PIN_EXISTS', path: pin }));
    expect(() => {
      unpinNamespace(pin);
    }).toThrow(expect.objectContaining({ code: 'NAMESPACE_NOT_A_PIN', path: pin }));
    expect(readFileSync(pin, 'utf8')).toBe('precious');
    unlinkSync(pin);
  });

  it('is made of nothing but a namespace, and leaves no file when it fails', () => {
    using dir = temporaryDir();
    const fd = openSync('/etc/passwd', 'r');
    const pin = join(dir.path, 'pin');
    expect(() => {
      pinNamespace(fd, pin);
    }).toThrow(expect.objectContaining({ code: 'NAMESPACE_WRONG_TYPE' }));
    closeSync(fd);
    using mounts = openNamespace(process.pid, 'mnt');
    expect(() => {
      pinNamespace(mounts.fd, pin);
    }).toThrow(expect.objectContaining({ code: 'NAMESPACE_REFUSED', errno: 'EINVAL', path: pin }));
    expect(existsSync(pin)).toBe(false);
    using network = openNamespace(process.pid, 'net');
    expect(() => {
      pinNamespace(network.fd, join(pin, 'in-nothing'));
    }).toThrow(expect.objectContaining({ code: 'NAMESPACE_NOT_FOUND' }));
  });

  it('is removed after a crash between its file and its mount', () => {
    using dir = temporaryDir();
    const pin = join(dir.path, 'pin');
    writeFileSync(pin, '');
    unpinNamespace(pin);
    expect(existsSync(pin)).toBe(false);
  });

  it('is not found through a link', async () => {
    using dir = temporaryDir();
    const [pin, link] = [join(dir.path, 'pin'), join(dir.path, 'link')];
    using made = await newNamespace('uts');
    pinNamespace(made.fd, pin);
    symlinkSync(pin, link);
    expect(() => {
      unpinNamespace(link);
    }).toThrow(expect.objectContaining({ code: 'NAMESPACE_NOT_A_PIN' }));
    unlinkSync(link);
    unpinNamespace(pin);
  });
});
