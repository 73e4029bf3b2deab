import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';

import { beforeAll, expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { MNT_DETACH, mount, umount2 } from '../src/index.ts';
import { InitRun, warmUp } from './init-run.ts';
import { temporaryDirectory } from './temporary-directory.ts';

beforeAll(warmUp);

interface LogRecord {
  readonly log: string;
  readonly stream: string;
  readonly time: string;
}

const PIECE_BYTES = 16 * 1024;
// As long as the engine's: 64 digits of an id, and what follows.
const LOG_NAME = `${'0123456789abcdef'.repeat(4)}-json.log`;

const parseLog = (text: string): LogRecord[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogRecord);

interface Logged {
  readonly text: string;
  readonly records: LogRecord[];
  readonly files: Readonly<Record<string, string>>;
}

interface LogOptions {
  readonly maxSizeBytes?: number;
  readonly maxFiles?: number;
}

/** What `script` leaves in the log. */
async function logOf(script: string, { maxSizeBytes = 0, maxFiles = 1 }: LogOptions = {}): Promise<Logged> {
  using dir = temporaryDirectory();
  await using run = InitRun.shell(script, {
    fds: [dir.fd],
    keep: { attached: false, log: { dir: 0, name: LOG_NAME, maxSizeBytes, maxFiles } },
  });
  expect(await run.exitCode()).toBe(0);
  const files = Object.fromEntries(readdirSync(dir.path).map((name) => [name, readFileSync(dir.at(name), 'utf8')]));
  const text = files[LOG_NAME] ?? '';
  return { text, records: parseLog(text), files };
}

describeRoot('the log', () => {
  it('has a record for each line, with its stream and the time in nanoseconds', async () => {
    const before = new Date().toISOString();
    const { records } = await logOf('echo one; echo two >&2; sleep 0.05; printf "three\\n\\nfour"');
    expect(records.map(({ log, stream }) => [log, stream])).toEqual(
      expect.arrayContaining([
        ['one\n', 'stdout'],
        ['two\n', 'stderr'],
      ]),
    );
    expect(records.slice(2).map(({ log, stream }) => [log, stream])).toEqual([
      ['three\n', 'stdout'],
      ['\n', 'stdout'],
      ['four', 'stdout'],
    ]);
    const times = records.map(({ time }) => time);
    for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    expect(times.map((time) => time.slice(0, 23)).every((time) => time >= before.slice(0, 23))).toBe(true);
    expect(times.every((time) => Date.parse(time) <= Date.now())).toBe(true);
    expect([...times].sort()).toEqual(times);
  });

  it('cuts long lines into pieces of 16 KiB', async () => {
    const { records } = await logOf(`head -c ${PIECE_BYTES * 2 + 5} /dev/zero | tr '\\0' x; echo`);
    expect(records.map(({ log }) => log.length)).toEqual([PIECE_BYTES, PIECE_BYTES, 6]);
    expect(records.map(({ log }) => log).join('')).toBe(`${'x'.repeat(PIECE_BYTES * 2 + 5)}\n`);
  });

  it.each(['é', '€', '😀'])('never cuts a character: %s', async (character) => {
    for (const offset of [0, 1, 2, 3]) {
      const line = 'x'.repeat(offset) + character.repeat(PIECE_BYTES / 2);
      const { records } = await logOf(
        `printf %s '${'x'.repeat(offset)}'; i=0; while [ $i -lt 64 ]; do printf %s '${character.repeat(PIECE_BYTES / 128)}'; i=$((i+1)); done`,
      );
      expect(records.map(({ log }) => log).join('')).toBe(line);
      for (const { log } of records.slice(0, -1)) {
        const bytes = Buffer.byteLength(log);
        expect(bytes).toBeGreaterThan(PIECE_BYTES - 4);
        expect(bytes).toBeLessThanOrEqual(PIECE_BYTES);
      }
    }
  });

  it('keeps control characters, quotes and backslashes, and replaces what is not UTF-8', async () => {
    const { records, text } = await logOf(
      String.raw`printf 'a\tb\rc\033[1m\007"\\\177\000z\n\377\300\200\355\240\200\364\220\200\200\342\202\n'`,
    );
    expect(records.map(({ log }) => log)).toEqual([
      'a\tb\rc\u001b[1m\u0007"\\\u007f\0z\n',
      `${'\ufffd'.repeat(1 + 2 + 3 + 4 + 2)}\n`,
    ]);
    expect(text).not.toMatch(/[^\n\x20-\x7e]/);
  });

  it('is rotated by size: so many files, nothing lost between those that are left, each of whole records', async () => {
    const { files } = await logOf('i=0; while [ $i -lt 400 ]; do echo "line $i"; i=$((i+1)); done', {
      maxSizeBytes: 4096,
      maxFiles: 3,
    });
    const names = [`${LOG_NAME}.2`, `${LOG_NAME}.1`, LOG_NAME];
    expect(Object.keys(files).sort()).toEqual([...names].sort());
    const lines = names.flatMap((name) => parseLog(files[name] ?? '').map(({ log }) => log));
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, index) => `line ${400 - lines.length + index}\n`));
    for (const name of names) expect(files[name]?.length).toBeLessThanOrEqual(4096);
    expect(files[`${LOG_NAME}.1`]?.length).toBeGreaterThan(3000);
  });

  it.each([0, 1])('keeps one file only when %i files are asked for', async (maxFiles) => {
    const { files, records } = await logOf('i=0; while [ $i -lt 200 ]; do echo "line $i"; i=$((i+1)); done', {
      maxSizeBytes: 2048,
      maxFiles,
    });
    expect(Object.keys(files)).toEqual([LOG_NAME]);
    expect(records.at(-1)?.log).toBe('line 199\n');
    expect(files[LOG_NAME]?.length).toBeLessThanOrEqual(2048);
  });

  it('goes on in the file that an earlier run left', async () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('log'), '{"log":"before\\n"}\n');
    const keep = { log: { dir: 0, name: 'log', maxSizeBytes: 0, maxFiles: 1 } };
    await using run = InitRun.shell('echo after', { fds: [dir.fd], keep });
    expect(await run.exitCode()).toBe(0);
    expect(parseLog(readFileSync(dir.at('log'), 'utf8')).map(({ log }) => log)).toEqual(['before\n', 'after\n']);
  });

  it('follows no link', async () => {
    using dir = temporaryDirectory();
    writeFileSync(dir.at('precious'), '');
    symlinkSync('precious', dir.at('log'));
    const keep = { log: { dir: 0, name: 'log', maxSizeBytes: 0, maxFiles: 1 } };
    await using run = InitRun.shell('echo output', { fds: [dir.fd], keep });
    expect(await run.exitCode()).toBe(0);
    expect(run.output()).toBe('output\n');
    expect(readFileSync(dir.at('precious'), 'utf8')).toBe('');
  });

  it('on a full file system loses records, but neither the process nor later records', async () => {
    using dir = temporaryDirectory();
    mkdirSync(dir.at('small'));
    mount('tmpfs', dir.at('small'), 'tmpfs', 0, 'size=64k');
    using undo = new DisposableStack();
    undo.defer(() => umount2(dir.at('small'), MNT_DETACH));
    const small = undo.adopt(openSync(dir.at('small'), constants.O_DIRECTORY), closeSync);
    writeFileSync(dir.at('small/ballast'), Buffer.alloc(32 * 1024));
    const keep = { stdin: true, log: { dir: 0, name: 'log', maxSizeBytes: 0, maxFiles: 1 } };
    const script =
      'i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; echo full; read -r line; echo "got $line"';
    await using run = InitRun.shell(script, { fds: [small], keep });
    await run.untilOutput('full');
    rmSync(dir.at('small/ballast'));
    run.send('stdin', 'room\n');
    expect(await run.exitCode()).toBe(0);
    expect(run.output().split('\n')).toHaveLength(2003);
    const lines = parseLog(readFileSync(dir.at('small/log'), 'utf8')).map(({ log }) => log);
    expect(lines[0]).toBe('line 0\n');
    expect(lines.at(-1)).toBe('got room\n');
    expect(lines.length).toBeLessThan(2002);
  });
});
