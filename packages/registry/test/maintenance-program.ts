import { openFileSystemStorage, scrubStorage } from '../src/index.ts';

/** Scrubs and collects all the time, in a process of its own that a test may kill: its directory is the argument. */
const storage = await openFileSystemStorage(process.argv[2] ?? '');
process.stdout.write('ready\n');
for (;;) {
  await scrubStorage(storage);
  await storage.collectGarbage(60_000);
}
