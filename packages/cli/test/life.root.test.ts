import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { until } from '../../engine/test/test-engine.ts';
import { ended, program, testCli } from './cli.ts';

describeRoot('the life of a container', () => {
  it('is shown by ps, with formats and filters', async () => {
    await using cli = await testCli();
    const id = (
      await cli.ok('run', '-d', '--name', 'up', '-l', 'k=v', '--network', 'none', 'busybox', 'sleep', '60')
    ).trim();
    await cli.ok('create', '--name', 'made', 'busybox', 'true');
    await cli.run(['run', '--name', 'over', '--network', 'none', 'busybox', 'sh', '-c', 'exit 3']);
    const shown = (await cli.ok('ps', '-a')).split('\n');
    expect(shown[0]).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/);
    expect(shown.slice(1, -1).map((line) => line.split(/ {2,}/).at(-1))).toEqual(['over', 'made', 'up']);
    expect(shown[1]).toMatch(/"sh -c 'exit 3'" .*Exited \(3\) .* ago +over$/);
    expect(shown[3]).toMatch(new RegExp(`^${id.slice(0, 12)} +busybox +"sleep 60" .*Up .*up$`));
    expect(await cli.ok('ps', '-q')).toBe(`${id.slice(0, 12)}\n`);
    expect(await cli.ok('ps', '-q', '--no-trunc')).toBe(`${id}\n`);
    expect(await cli.ok('ps', '-a', '--format', '{{.Names}}:{{.State}}')).toBe(
      'over:exited\nmade:created\nup:running\n',
    );
    expect(JSON.parse(await cli.ok('ps', '--format', 'json'))).toMatchObject({
      Names: 'up',
      Image: 'busybox',
      State: 'running',
    });
    for (const [filter, names] of [
      ['status=exited', 'over\n'],
      ['name=ma', 'made\n'],
      ['label=k=v', 'up\n'],
      ['exited=3', 'over\n'],
      ['id=' + id.slice(0, 6), 'up\n'],
    ] as const) {
      expect(await cli.ok('ps', '-a', '--filter', filter, '--format', '{{.Names}}')).toBe(names);
    }
  });

  it('goes through stop, start, restart, kill, rename, wait and rm', async () => {
    await using cli = await testCli();
    const script = 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done';
    await cli.ok('run', '-d', '--name', 'box', '--network', 'none', 'busybox', 'sh', '-c', script);
    await until('its first word', async () => (await cli.ok('logs', 'box')) === 'up\n');
    const refused = await cli.run(['rm', 'box']);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      'tsc: cannot remove container "/box": container is running: stop the container before removing or force remove\n',
    ]);
    const waiting = cli.ok('wait', 'box');
    expect(await cli.ok('stop', 'box')).toBe('box\n');
    expect(await waiting).toBe('5\n');
    expect(await cli.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'box')).toBe('exited 5\n');
    expect(await cli.ok('start', 'box')).toBe('box\n');
    expect(await cli.ok('restart', '-t', '1', 'box')).toBe('box\n');
    expect(await cli.ok('kill', 'box')).toBe('box\n');
    expect(await cli.ok('inspect', '-f', '{{.State.ExitCode}}', 'box')).toBe('137\n');
    await cli.ok('rename', 'box', 'crate');
    const missing = await cli.run(['start', 'box']);
    expect([missing.code, missing.stderr]).toEqual([1, 'tsc: no such container: box\n']);
    expect(await cli.ok('rm', 'crate')).toBe('crate\n');
    expect((await cli.run(['stop', 'crate'])).code).toBe(1);
    const twice = await cli.run(['run', '-d', '--name', 'same', '--network', 'none', 'busybox', 'sleep', '60']);
    expect(twice.code).toBe(0);
    const conflict = await cli.run(['run', '--name', 'same', 'busybox']);
    expect(conflict.code).toBe(125);
    expect(conflict.stderr).toContain('"/same" is already in use');
    expect(await cli.ok('rm', '-f', 'same')).toBe('same\n');
  });

  it('keeps logs, and follows them to the end', async () => {
    await using cli = await testCli();
    const script = 'echo one; echo err >&2; sleep 0.5; echo two; printf three';
    await cli.ok('run', '-d', '--name', 'talk', '--network', 'none', 'busybox', 'sh', '-c', script);
    expect(await cli.run(['logs', '-f', 'talk'])).toEqual({ code: 0, stdout: 'one\ntwo\nthree', stderr: 'err\n' });
    expect((await cli.run(['logs', '-n', '1', 'talk'])).stdout).toBe('three');
    expect((await cli.run(['logs', '-t', 'talk'])).stdout).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z one\n/);
  });

  it('takes further processes by exec', async () => {
    await using cli = await testCli();
    await cli.ok('run', '-d', '--name', 'box', '-e', 'A=1', '--network', 'none', 'busybox', 'sleep', '60');
    expect(
      await cli.ok('exec', '-u', 'alice', '-w', '/tmp', '-e', 'B=2', 'box', 'sh', '-c', 'echo $A $B $(id -u) $(pwd)'),
    ).toBe('1 2 1000 /tmp\n');
    expect((await cli.run(['exec', 'box', 'sh', '-c', 'exit 9'])).code).toBe(9);
    expect((await cli.run(['exec', 'box', 'no-such-program'])).code).toBe(127);
    expect((await cli.run(['exec', 'box', '/bin/not-executable'])).code).toBe(126);
    expect((await cli.run(['exec', '-i', 'box', 'cat'], { input: 'through' })).stdout).toBe('through');
    await cli.ok('exec', '-d', 'box', 'sh', '-c', 'echo x > /made');
    await until('the file', async () => (await cli.run(['exec', 'box', 'cat', '/made'])).stdout === 'x\n');
    await cli.ok('stop', '-t', '0', 'box');
    const stopped = await cli.run(['exec', 'box', 'true']);
    expect([stopped.code, stopped.stderr]).toEqual([
      1,
      expect.stringMatching(/^tsc: container [0-9a-f]{64} is not running\n$/),
    ]);
  });

  it('has its files copied both ways, running and stopped', async () => {
    await using cli = await testCli();
    await cli.ok(
      'run',
      '-d',
      '--name',
      'box',
      '--network',
      'none',
      'busybox',
      'sh',
      '-c',
      'mkdir /d; echo inside > /d/f; ln -s f /d/l; touch /d/.wh.x; sleep 60',
    );
    await until('the files', async () => (await cli.run(['exec', 'box', 'ls', '/d/.wh.x'])).code === 0);
    writeFileSync(cli.at('here'), 'outside');
    mkdirSync(cli.at('dir/sub'), { recursive: true });
    writeFileSync(cli.at('dir/sub/.wh.deep'), 'deep');
    symlinkSync('sub', cli.at('dir/link'));
    for (const state of ['running', 'stopped']) {
      if (state === 'stopped') await cli.ok('stop', '-t', '0', 'box');
      await cli.ok('cp', cli.at('here'), `box:/d/${state}`);
      await cli.ok('cp', cli.at('dir'), `box:/${state}`);
      await cli.ok('cp', 'box:/d', cli.at(`out-${state}`));
      expect(readFileSync(cli.at(`out-${state}/f`), 'utf8')).toBe('inside\n');
      expect(readFileSync(cli.at(`out-${state}/.wh.x`), 'utf8')).toBe('');
      expect(readFileSync(cli.at(`out-${state}/${state}`), 'utf8')).toBe('outside');
      await cli.ok('cp', `box:/${state}/.`, cli.at('back'));
      expect(readFileSync(cli.at('back/sub/.wh.deep'), 'utf8')).toBe('deep');
    }
    const stream = await cli.run(['cp', 'box:/d/f', '-']);
    expect(stream.stdout).toContain('inside');
    const missing = await cli.run(['cp', 'box:/none', cli.at('x')]);
    expect([missing.code, missing.stderr]).toEqual([1, 'tsc: could not find the file /none in the container\n']);
    const clash = await cli.run(['cp', cli.at('dir'), 'box:/d/f']);
    expect([clash.code, clash.stderr.split('\n').length]).toEqual([1, 2]);
  });

  it('becomes an image by commit, and an archive by export', async () => {
    await using cli = await testCli();
    await cli.run([
      'run',
      '--name',
      'box',
      '--network',
      'none',
      'busybox',
      'sh',
      '-c',
      'echo x > /made; rm /data/from-image',
    ]);
    const id = (await cli.ok('commit', '-a', 'me', '-m', 'why', '-c', 'CMD ["cat","/made"]', 'box', 'made:1')).trim();
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await cli.ok('run', '--rm', '--network', 'none', 'made:1')).toBe('x\n');
    expect(await cli.ok('run', '--rm', '--network', 'none', 'made:1', 'ls', '/data')).toBe('');
    expect(await cli.ok('image', 'inspect', '-f', '{{.Author}} {{.Id}}', 'made:1')).toBe(`me ${id}\n`);
    await cli.ok('export', '-o', cli.at('export.tar'), 'box');
    await cli.ok('import', cli.at('export.tar'), 'flat');
    expect(
      await cli.ok(
        'run',
        '--rm',
        '--network',
        'none',
        'flat',
        'sh',
        '-c',
        'cat /made; ls /data; ls -A /proc/1/root/dev | head -1',
      ),
    ).toMatch(/^x\n/);
    await cli.ok('run', '-d', '--name', 'live', '--network', 'none', 'busybox', 'sleep', '60');
    await cli.ok('export', '-o', cli.at('live.tar'), 'live');
    expect(readFileSync(cli.at('live.tar')).length).toBeLessThan(20_000_000);
    await cli.ok('commit', '-p=false', 'live', 'live:1');
  });
});

describeRoot('words that are wrong', () => {
  it('end in one line that says what would be right', async () => {
    await using cli = await testCli();
    for (const [words, code, message] of [
      [['exce'], 1, 'tsc: unknown command: tsc exce (did you mean exec?).'],
      [['run', '--netwrok', 'none', 'busybox'], 125, 'tsc: unknown flag: --netwrok'],
      [['run', '--gpus', 'all', 'busybox'], 125, 'tsc: flag --gpus is not supported yet.'],
      [['stop'], 1, "tsc: 'tsc stop' requires at least 1 argument."],
      [['rmi', 'nope'], 1, 'tsc: no such image: nope'],
      [['inspect', 'nope'], 1, 'tsc: no such'],
    ] as const) {
      const seen = await cli.run(words);
      expect([words, seen.code]).toEqual([words, code]);
      expect(seen.stderr).toContain(message);
      expect(seen.stderr).not.toMatch(/ at .*\.js:/);
    }
    expect(await cli.ok('version', '-f', '{{.Client.Version}}')).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await cli.ok('info', '-f', '{{.Driver}} {{.Images}}')).toBe('overlay2 1\n');
    expect(await cli.ok('run', '--help')).toContain('--entrypoint');
  });

  it('and so does not being root', async () => {
    await using cli = await testCli();
    const words = ['--reuid', '1000', '--regid', '1000', '--clear-groups', program, '--root', cli.at('other')];
    const seen = await ended(spawn('setpriv', [...words, 'run', 'busybox']));
    expect(seen).toEqual({
      code: 125,
      stdout: '',
      stderr: 'tsc: this needs root: containers are made of mounts, networks and cgroups; try sudo\n',
    });
    expect((await ended(spawn('setpriv', [...words, 'ps']))).code).toBe(1);
    expect((await ended(spawn('setpriv', [...words, 'run', '--help']))).code).toBe(0);
  });
});
