import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { until } from '../../engine/test/test-engine.ts';
import { testCli } from './cli.ts';
import type { Cli } from './cli.ts';

const context = (cli: Cli, files: Readonly<Record<string, string>>): string => {
  mkdirSync(cli.at('ctx'), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(cli.at(`ctx/${name}`), text);
  return cli.at('ctx');
};

describeRoot('images', () => {
  it('are listed, tagged, saved, loaded and removed', async () => {
    await using cli = await testCli();
    const id = (await cli.ok('inspect', '-f', '{{.Id}}', 'busybox')).trim();
    const short = id.slice(7, 19);
    const [head, row] = (await cli.ok('images')).split('\n');
    expect(head).toMatch(/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/);
    expect(row).toMatch(new RegExp(`^busybox +latest +${short} +.* ago +[\\d.]+MB$`));
    await cli.ok('tag', 'busybox', 'bb:2');
    expect(await cli.ok('images', '-q', '--no-trunc')).toBe(`${id}\n${id}\n`);
    expect(await cli.ok('images', '--format', '{{.Repository}}:{{.Tag}}')).toBe('bb:2\nbusybox:latest\n');
    await cli.ok('save', '-o', cli.at('bb.tar'), 'busybox', 'bb:2');
    expect(await cli.ok('rmi', 'busybox')).toBe('Untagged: busybox:latest\n');
    expect(await cli.ok('rmi', 'bb:2')).toContain(`Untagged: bb:2\nDeleted: ${id}\n`);
    expect(await cli.ok('images', '-q')).toBe('');
    const loaded = await cli.ok('load', '-i', cli.at('bb.tar'));
    expect(loaded.split('\n').toSorted()).toEqual(['', 'Loaded image: bb:2', 'Loaded image: busybox:latest']);
    expect((await cli.ok('inspect', '-f', '{{.Id}}', 'bb:2')).trim()).toBe(id);
    expect(await cli.ok('run', '--rm', '--network', 'none', 'bb:2', 'echo', 'hi')).toBe('hi\n');
    const piped = await cli.run(['load'], { input: readFileSync(cli.at('bb.tar')) });
    expect(piped.code).toBe(0);
  });

  it('stay while a container uses them', async () => {
    await using cli = await testCli();
    await cli.ok('tag', 'busybox', 'bb');
    const id = (await cli.ok('create', '--name', 'box', 'bb')).trim().slice(0, 12);
    const image = (await cli.ok('images', '-q', 'bb')).trim();
    await cli.ok('rmi', 'busybox');
    const refused = await cli.run(['rmi', 'bb']);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      `tsc: conflict: unable to remove repository reference "bb" (must force) - container ${id} is using its referenced image ${image}\n`,
    ]);
    expect(await cli.ok('rmi', '-f', 'bb')).toContain('Untagged: bb:latest\n');
    await cli.ok('rm', 'box');
  });

  it('are built: output, arguments, labels, names, targets and ids', async () => {
    await using cli = await testCli();
    const dir = context(cli, {
      Dockerfile: [
        'FROM busybox AS base',
        'ARG WHO=nobody',
        'RUN echo "for $WHO"; echo oops >&2; printf unfinished',
        'FROM base AS other',
        'RUN exit 9',
        'FROM base',
        'COPY file /file',
        'CMD ["cat", "/file"]',
      ].join('\n'),
      file: 'content\n',
    });
    const built = await cli.run([
      'build',
      '-t',
      'made',
      '-t',
      'made:2',
      '--build-arg',
      'WHO=me',
      '--label',
      'k=v',
      '--network',
      'none',
      '--iidfile',
      cli.at('iid'),
      '--no-cache',
      dir,
    ]);
    expect([built.code, built.stdout]).toEqual([0, '']);
    const lines = built.stderr.split('\n');
    expect(lines).toEqual(expect.arrayContaining(['#2 for me', '#2 oops', '#2 unfinished', 'naming to made:2']));
    expect(lines.find((line) => line.startsWith('#2 DONE'))).toMatch(/^#2 DONE \d+\.\ds$/);
    const id = readFileSync(cli.at('iid'), 'utf8');
    expect(await cli.ok('inspect', '-f', '{{.Id}} {{.Config.Labels.k}}', 'made:2')).toBe(`${id} v\n`);
    expect(await cli.ok('run', '--rm', '--network', 'none', 'made')).toBe('content\n');
    const failed = await cli.run(['build', '--network', 'none', '--target', 'other', dir]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/tsc: Dockerfile:5: RUN exit 9: .*exit code 9/);
    // Of builds that failed, and of what those that didn't had to store on their way, nothing is left.
    expect((await cli.ok('images', '-aq')).split('\n').filter(Boolean).length).toBe(3);
    const quiet = await cli.run(['build', '-q', '--network', 'none', '-f', `${dir}/Dockerfile`, dir], {
      env: { SOURCE_DATE_EPOCH: '1000000000' },
    });
    expect([quiet.code, quiet.stderr]).toEqual([0, '']);
    expect(quiet.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(await cli.ok('inspect', '-f', '{{.Created}}', quiet.stdout.trim())).toBe('2001-09-09T01:46:40.000Z\n');
    const stdin = await cli.run(['build', '-q', '-'], { input: 'FROM busybox\nENV A=1\n' });
    expect(stdin.code).toBe(0);
    const refused = await cli.run(['build', '-'], { input: 'FROM busybox\nRUN --network=host true\n' });
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('network=host is not allowed')]);
  });

  it('stop being built on a signal, and nothing is left', async () => {
    await using cli = await testCli();
    const dir = context(cli, { Dockerfile: 'FROM busybox\nRUN echo up; sleep 1000' });
    const child = cli.start(['build', '--network', 'none', dir]);
    let output = '';
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await until('the step', () => output.includes('#1 up'));
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(130);
    expect(await cli.ok('ps', '-aq')).toBe('');
    expect((await cli.ok('images', '-aq')).trim().split('\n')).toHaveLength(1);
  });
});
