import { readFileSync, statSync, writeFileSync, mkdirSync } from 'node:fs';

import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { until } from '../../engine/test/test-engine.ts';
import { testCli } from './cli.ts';

const none = ['run', '--rm', '--network', 'none'];

describeRoot('tsc run', () => {
  it('passes on output and exit codes, and says in one line what failed', async () => {
    await using cli = await testCli();
    const script = 'echo out; echo err >&2; exit 7';
    expect(await cli.run([...none, 'busybox', 'sh', '-c', script])).toEqual({
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect((await cli.run([...none, 'busybox', 'true'])).code).toBe(0);
    const killed = cli.run([...none, '--name', 'box', 'busybox', 'sleep', '60']);
    await until('it to run', async () => (await cli.ok('ps', '--format', '{{.Names}}')) === 'box\n');
    await cli.ok('kill', 'box');
    expect((await killed).code).toBe(137);
    const failures: readonly (readonly [words: readonly string[], code: number, message: RegExp])[] = [
      [['--pull', 'never', 'nope'], 125, /^tsc: no such image: nope:latest\n$/],
      [['busybox', '/bin/not-executable'], 126, /^tsc: failed to start container: .*not-executable.*\n$/],
      [['busybox', 'no-such-program'], 127, /^tsc: failed to start container: .*no-such-program.*\n$/],
      [['-m', '1m', 'busybox'], 125, /^tsc: minimum memory limit allowed is 6MB\n$/],
      [['-v', 'not/a-name:/x', 'busybox'], 125, /^tsc: invalid argument .*\nSee 'tsc run --help'\.\n$/],
      [['-u', 'nobody-here', 'busybox'], 125, /^tsc: .*nobody-here.*\n$/],
    ];
    for (const [words, code, message] of failures) {
      const seen = await cli.run([...none, ...words]);
      expect([words, seen.code]).toEqual([words, code]);
      expect(seen.stderr).toMatch(message);
    }
    // Nothing is left of those that failed.
    expect(await cli.ok('ps', '-aq')).toBe('');
  });

  it('reads standard input with -i, and none without', async () => {
    await using cli = await testCli();
    expect((await cli.run([...none, '-i', 'busybox', 'cat'], { input: 'hello\n' })).stdout).toBe('hello\n');
    expect((await cli.run([...none, 'busybox', 'cat'], { input: 'hello\n' })).stdout).toBe('');
    const large = Buffer.alloc(5_000_000, 'abcdefg\n');
    expect((await cli.run([...none, '-i', 'busybox', 'wc', '-c'], { input: large })).stdout.trim()).toBe('5000000');
    expect((await cli.run([...none, 'busybox', 'head', '-c', '5000000', '/dev/zero'])).stdout).toHaveLength(5_000_000);
  });

  it('obeys -e --env-file -w -u -h --entrypoint --tmpfs -v --mount -m --read-only -l --name --cidfile', async () => {
    await using cli = await testCli();
    const of = async (...words: string[]): Promise<string> => (await cli.ok(...none, ...words)).trim();
    expect(await of('-e', 'A=one two', '-e', 'GONE', 'busybox', 'sh', '-c', 'echo "$A"')).toBe('one two');
    const withEnv = await cli.run([...none, '-e', 'FROM_HERE', 'busybox', 'sh', '-c', 'echo $FROM_HERE'], {
      env: { FROM_HERE: 'x' },
    });
    expect(withEnv.stdout).toBe('x\n');
    writeFileSync(cli.at('env'), '# comment\nB=2\n');
    expect(await of('--env-file', cli.at('env'), 'busybox', 'sh', '-c', 'echo $B')).toBe('2');
    expect(await of('-w', '/tmp/made', 'busybox', 'pwd')).toBe('/tmp/made');
    expect(await of('-u', 'alice', 'busybox', 'id', '-u')).toBe('1000');
    expect(await of('-u', '5:6', 'busybox', 'sh', '-c', 'echo $(id -u):$(id -g)')).toBe('5:6');
    expect(await of('-h', 'box', 'busybox', 'hostname')).toBe('box');
    expect(await of('--entrypoint', 'echo', 'busybox', 'a', 'b')).toBe('a b');
    expect(await of('--tmpfs', '/m:size=1m', 'busybox', 'sh', '-c', 'mount | grep " /m "')).toContain('size=1024k');
    mkdirSync(cli.at('shared'));
    await of('-v', `${cli.at('shared')}:/s`, 'busybox', 'sh', '-c', 'echo x > /s/x');
    expect(readFileSync(cli.at('shared/x'), 'utf8')).toBe('x\n');
    const readOnly = await cli.run([...none, '-v', `${cli.at('shared')}:/s:ro`, 'busybox', 'touch', '/s/y']);
    expect([readOnly.code, readOnly.stderr]).toEqual([1, 'touch: /s/y: Read-only file system\n']);
    await of('--mount', 'type=volume,source=vol,target=/v', 'busybox', 'sh', '-c', 'echo kept > /v/k');
    expect(await of('-v', 'vol:/v', 'busybox', 'cat', '/v/k')).toBe('kept');
    expect((await cli.run([...none, '--read-only', 'busybox', 'touch', '/x'])).code).toBe(1);
    // `head` holds in memory what `sort` reads, which is more than there may be.
    const hog = await cli.run([
      ...none,
      '-m',
      '16m',
      '--memory-swap',
      '16m',
      'busybox',
      'sh',
      '-c',
      'head -c 100000000 /dev/zero | tail -c 90000000 | wc -c',
    ]);
    expect(hog.stdout.trim()).not.toBe('90000000');
    await cli.ok(
      'run',
      '-d',
      '--name',
      'named',
      '-l',
      'k=v',
      '--cidfile',
      cli.at('cid'),
      '--network',
      'none',
      'busybox',
      'sleep',
      '60',
    );
    const id = readFileSync(cli.at('cid'), 'utf8');
    expect(await cli.ok('inspect', '-f', '{{.Id}} {{.Config.Labels.k}} {{.Name}}', 'named')).toBe(`${id} v /named\n`);
    expect(statSync(cli.at('cid')).size).toBe(64);
  });

  it('has the network that was asked for, and publishes ports', async () => {
    await using cli = await testCli();
    await cli.ok(
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      '127.0.0.1::80',
      'busybox',
      'sh',
      '-c',
      'while :; do printf "HTTP/1.0 200 OK\\r\\n\\r\\nhi" | nc -l -p 80; done',
    );
    const address = (await cli.ok('port', 'web', '80')).trim();
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    const body = await until('an answer', () =>
      fetch(`http://${address}/`).then(
        (response) => response.text(),
        () => undefined,
      ),
    );
    expect(body).toBe('hi');
    expect(await cli.ok('port', 'web')).toBe(`80/tcp -> ${address}\n`);
    expect(await cli.ok('ps', '--format', '{{.Ports}}')).toBe(`${address}->80/tcp\n`);
    await cli.ok('rm', '-f', 'web');
    expect(await cli.ok(...none, 'busybox', 'ls', '/sys/class/net')).toBe('lo\n');
  });

  it('forwards signals, and ends quietly when its reader has gone', async () => {
    await using cli = await testCli();
    const child = cli.start([
      ...none,
      '--name',
      'sig',
      'busybox',
      'sh',
      '-c',
      'trap "echo got; exit 3" TERM; echo up; while :; do sleep 0.1; done',
    ]);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await until('its first word', () => output.includes('up'));
    child.kill('SIGTERM');
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect([code, output]).toEqual([3, 'up\ngot\n']);

    await cli.ok('run', '-d', '--name', 'talk', '--network', 'none', 'busybox', 'seq', '200000');
    await cli.ok('wait', 'talk');
    const reader = cli.start(['logs', 'talk']);
    let complaint = '';
    reader.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    reader.stdout?.once('data', () => reader.stdout?.destroy());
    const left = await new Promise((resolve) => reader.on('close', resolve));
    expect([left, complaint]).toEqual([141, '']);
  });
});
