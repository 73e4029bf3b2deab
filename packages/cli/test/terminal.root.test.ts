import { expect, it } from '@jest/globals';

import { describeRoot } from '../../../test/root.ts';
import { until } from '../../engine/test/test-engine.ts';
import { testCli } from './cli.ts';
import { Terminal } from './terminal.ts';

describeRoot('a real terminal', () => {
  it('is the container’s while it runs: size, Ctrl-C, exit code; and the shell’s afterwards', async () => {
    await using cli = await testCli();
    using terminal = new Terminal(cli, { columns: 100, rows: 30 });
    terminal.keys(`${cli.shellWords} run -it --rm --network none -e "PS1=box> " busybox`, 'Enter');
    await terminal.shows(/^box>/m);
    terminal.keys('stty size; tty', 'Enter');
    await terminal.shows(/^30 100$/m);
    await terminal.shows(/^\/dev\/(?:console|pts\/0)$/m);
    terminal.resize(77, 22);
    // The window's change reaches the container as a signal, some time after.
    terminal.keys('while [ "$(stty size)" != "22 77" ]; do sleep 0.1; done; echo size$(stty size)', 'Enter');
    await terminal.shows('size22 77');
    terminal.keys('sleep 1000', 'Enter');
    await terminal.shows(/box> sleep 1000$/m);
    terminal.keys('C-c');
    terminal.keys('echo "status"$?', 'Enter');
    await terminal.shows('status130');
    terminal.keys('exit 42', 'Enter');
    await terminal.shows(/host>$/m);
    terminal.keys('echo "code"$?; stty -a | grep -o "[-]*icanon"', 'Enter');
    await terminal.shows('code42');
    await terminal.shows(/^icanon$/m);
    expect(await cli.ok('ps', '-aq')).toBe('');
  });

  it('is left by Ctrl-P Ctrl-Q, and can be come back to', async () => {
    await using cli = await testCli();
    using terminal = new Terminal(cli, { columns: 100, rows: 30 });
    terminal.keys(`${cli.shellWords} run -it --name box --network none -e "PS1=box> " busybox`, 'Enter');
    await terminal.shows(/^box>/m);
    terminal.keys('X=kept; echo "here"$$', 'Enter');
    await terminal.shows('here1');
    terminal.keys('C-p');
    terminal.keys('C-q');
    await terminal.shows(/host>$/m);
    terminal.keys('echo "code"$?', 'Enter');
    await terminal.shows('code0');
    expect(await cli.ok('ps', '--format', '{{.Names}} {{.State}}')).toBe('box running\n');
    terminal.keys('clear', 'Enter');
    terminal.keys(`${cli.shellWords} attach box`, 'Enter');
    await until('the attachment', () => terminal.screen.includes('attach box'));
    terminal.keys('Enter');
    await terminal.shows(/^box>/m);
    terminal.keys('echo "still"$X', 'Enter');
    await terminal.shows('stillkept');
    // Half of the sequence is a key like any other.
    terminal.keys('C-p');
    terminal.keys('C-u');
    terminal.keys('exit 6', 'Enter');
    await terminal.shows(/host>$/m);
    terminal.keys('echo "code"$?', 'Enter');
    await terminal.shows('code6');
    expect(await cli.ok('inspect', '-f', '{{.State.ExitCode}}', 'box')).toBe('6\n');
  });

  it('goes to an exec as well', async () => {
    await using cli = await testCli();
    await cli.ok('run', '-d', '--name', 'box', '--network', 'none', 'busybox', 'sleep', '60');
    using terminal = new Terminal(cli, { columns: 90, rows: 20 });
    terminal.keys(`${cli.shellWords} exec -it -e "PS1=in> " box sh`, 'Enter');
    await terminal.shows('in> ');
    terminal.keys('stty size', 'Enter');
    await terminal.shows(/^20 90$/m);
    terminal.keys('exit 3', 'Enter');
    await terminal.shows(/host>$/m);
    terminal.keys('echo "code"$?', 'Enter');
    await terminal.shows('code3');
  });

  it('is asked for in vain where there is none', async () => {
    await using cli = await testCli();
    const { code, stderr } = await cli.run(['run', '-it', '--rm', 'busybox']);
    expect(code).toBe(1);
    expect(stderr).toBe('tsc: the input device is not a TTY\n');
  });
});
