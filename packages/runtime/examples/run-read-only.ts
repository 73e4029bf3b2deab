// Runs a command in a container that sees this machine's files and can change none of them. Run as root.
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { mountOverlay } from '@tsc/overlay';
import { InheritedDescriptors, defaultSpec, startContainer } from '@tsc/runtime';

using undo = new DisposableStack();
const root = undo.use(mountOverlay({ lowerDirs: ['/'] }));
const scratchDir = undo.adopt(mkdtempSync(join(tmpdir(), 'scratch-')), rmdirSync);
const inherited = new InheritedDescriptors();
const args = ['sh', '-c', 'echo "process $$ on $(hostname)"; touch /new'];
const { connection } = await startContainer(defaultSpec({ args, hostname: 'box', readonlyRootfs: true }), {
  inherited,
  rootfs: inherited.add(root.fd),
  scratchDir,
  keep: { attached: true },
});
connection.stdout.pipe(process.stdout);
connection.stderr.pipe(process.stderr);
console.log(await connection.exit);
