// Changes a copy of this machine's /etc that costs nothing, and says what was changed. Run as root.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createSnapshot, diffUpper, mountOverlay } from '@tsc/overlay';

using undo = new DisposableStack();
const dir = undo.adopt(mkdtempSync(join(tmpdir(), 'try-')), (path) => rmSync(path, { recursive: true }));
const { upperDir, workDir } = createSnapshot(join(dir, 'snapshot'));
using mount = mountOverlay({ lowerDirs: ['/etc'], upperDir, workDir });

rmSync(`/proc/self/fd/${mount.fd}/hostname`);
writeFileSync(`/proc/self/fd/${mount.fd}/motd`, 'Nobody will read this.\n');
for (const { type, path } of diffUpper(upperDir, { lowerDirs: ['/etc'] })) console.log(type, path);
