import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { importImage } from '@tsc/image';
import type { ImageStore, StoredImage } from '@tsc/image';

/** Debian's `busybox-static`: the one program, static, that all images of these tests are made of. */
const BUSYBOX = '/bin/busybox';
const APPLETS =
  'sh ash cat cp dd echo env false grep head hostname httpd id ip kill ln ls mkdir mkfifo mknod mount mv nc ping printf ps pwd readlink rm seq sleep sort stat stty sync tail test touch tr true tty umount uname vi wc wget which whoami yes'.split(
    ' ',
  );
const PASSWD = ['root:x:0:0:root:/root:/bin/sh', 'alice:x:1000:1000::/home/alice:/bin/sh', '0:x:1234:1234::/:/bin/sh'];
const GROUP = ['root:x:0:', 'alice:x:1000:', 'staff:x:50:alice', 'audio:x:29:alice,root', 'extra:x:77:'];

/** Fills a directory with what a container needs to live. */
export function makeBusyboxTree(dir: string): void {
  for (const path of ['bin', 'etc', 'home/alice', 'root', 'tmp', 'data', 'usr/bin']) {
    mkdirSync(join(dir, path), { recursive: true });
  }
  chmodSync(join(dir, 'tmp'), 0o1777);
  copyFileSync(BUSYBOX, join(dir, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(dir, 'bin', applet));
  writeFileSync(join(dir, 'etc/passwd'), `${PASSWD.join('\n')}\n`);
  writeFileSync(join(dir, 'etc/group'), `${GROUP.join('\n')}\n`);
  writeFileSync(join(dir, 'data/from-image'), 'from the image\n');
  writeFileSync(join(dir, 'bin/not-executable'), 'nothing\n', { mode: 0o644 });
}

/** The tree as an archive, after `change` has had its way with it. */
export function busyboxTar(change?: (dir: string) => void): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'busybox-'));
  try {
    makeBusyboxTree(join(dir, 'tree'));
    change?.(join(dir, 'tree'));
    execFileSync('tar', ['-C', join(dir, 'tree'), '--sparse', '--numeric-owner', '-cf', join(dir, 'tree.tar'), '.']);
    return readFileSync(join(dir, 'tree.tar'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function* bytes(content: Buffer): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(content);
}

let plain: Buffer | undefined;

/** Imports the image as `busybox`; it is packed once per test file. */
export function importBusybox(
  images: ImageStore,
  { reference = 'busybox', changes = ['CMD ["sh"]'], tree }: ImportRequest = {},
): Promise<StoredImage> {
  plain ??= busyboxTar();
  return importImage(images, bytes(tree === undefined ? plain : busyboxTar(tree)), { reference, changes });
}

export interface ImportRequest {
  readonly reference?: string;
  readonly changes?: readonly string[];
  readonly tree?: (dir: string) => void;
}

/** Puts a file into a tree with the directories that lead to it. */
export function put(dir: string, path: string, content: string): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), content);
}
