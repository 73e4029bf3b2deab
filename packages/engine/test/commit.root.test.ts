import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, expect, it } from '@jest/globals';
import { lgetxattr, lsetxattr } from '@tsc/sys';

import { describeRoot } from '../../../test/root.ts';
import type { Container, Engine } from '../src/index.ts';
import { put } from './busybox-image.ts';
import { failureOf, logText, sh, testEngine, text, until, warmUp } from './test-engine.ts';

/** A container that has carried out a script and ended. */
async function ended(engine: Engine, script: string, image = 'busybox'): Promise<Container> {
  const container = await engine.createContainer({ image, command: ['sh', '-c', script], network: 'none' });
  const exitCode = await (await container.start()).wait();
  expect(exitCode).toBe(0);
  return container;
}

/** cap_net_raw+ep, version 2. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');

const imageTree = (dir: string): void => {
  for (const name of ['gone', 'kept', 'dir/old', 'dir/older']) put(dir, `data/${name}`, name);
};

describeRoot('commit', () => {
  beforeAll(warmUp);

  it('keeps deletions, replaced directories, capabilities, hard links and modes', async () => {
    await using t = await testEngine({ tree: imageTree });
    const container = await ended(
      t.engine,
      'cd /data && rm gone && rm -r dir && mkdir dir && echo new > dir/new && echo two > a && ln a b && ' +
        'mkdir -m 1770 box && cp /bin/busybox tool && ln -s tool link && mkfifo pipe && touch .hidden',
    );
    lsetxattr(join(t.layout.rootDir, 'containers', container.id, 'upper/data/tool'), 'security.capability', CAPABILITY);
    const id = await container.commit({ reference: 'made:1', author: 'me', message: 'why' });
    const image = await t.engine.images.resolve('made:1');
    expect(image.id).toBe(id);
    expect(image.config.author).toBe('me');
    expect(image.config.history?.at(-1)).toMatchObject({ author: 'me', comment: 'why' });
    expect(image.layerDirs).toHaveLength(2);
    const seen = await sh(
      t.engine,
      'cd /data; ls -A; ls dir; cat dir/new b; stat -c "%a" box; stat -c %h a; readlink link',
      {
        image: 'made:1',
      },
    );
    expect(seen.stdout.split('\n')).toEqual(
      '.hidden a b box dir from-image kept link pipe tool new new two 1770 2 tool'.split(' ').concat(''),
    );
    expect(lgetxattr(join(image.layerDirs[0] ?? '', 'data/tool'), 'security.capability')).toEqual(CAPABILITY);
  });

  it('leaves out what is mounted, and what was made to mount it on', async () => {
    await using t = await testEngine();
    const container = await t.engine.createContainer({
      image: 'busybox',
      command: ['sh', '-c', 'echo x > /vol/x; echo x > /tmpfs/x; echo x >> /etc/hosts; echo x > /dev/shm/x'],
      mounts: [
        { type: 'volume', target: '/vol' },
        { type: 'tmpfs', target: '/tmpfs' },
      ],
      network: 'none',
    });
    await (await container.start()).wait();
    expect(await container.changes()).toBeUndefined();
    const id = await container.commit();
    const image = await t.engine.images.resolve(id);
    expect(readdirSync(image.layerDirs[0] ?? '')).toEqual([]);
    await container.remove({ volumes: true });
  });

  it('stacks, and carries the command, the environment and the changes on', async () => {
    await using t = await testEngine();
    const first = await t.engine.createContainer({
      image: 'busybox',
      command: ['sh', '-c', 'echo run >> /runs; rm -f /data/from-image; cat /runs'],
      env: ['A=1'],
      labels: { who: 'me' },
      network: 'none',
    });
    await (await first.start()).wait();
    await first.commit({ reference: 'one', changes: ['ENV B=2', 'WORKDIR /tmp', 'LABEL x=y'] });
    const again = await t.engine.run({ image: 'one', network: 'none' }, { attach: true });
    expect(again.attachment && (await text(again.attachment.stdout))).toBe('run\nrun\n');
    await again.wait();
    await again.container.commit({ reference: 'two', changes: ['ENTRYPOINT ["echo"]'] });
    const two = await t.engine.images.resolve('two');
    expect(two.layerDirs).toHaveLength(3);
    expect(two.config.config).toMatchObject({ Env: ['A=1', 'B=2'], WorkingDir: '/tmp', Labels: { who: 'me', x: 'y' } });
    expect(two.config.config).not.toHaveProperty('Cmd');
    const seen = await sh(t.engine, '', {
      image: 'two',
      entrypoint: ['sh', '-c', 'cat /runs; ls /data; pwd'],
      command: [],
    });
    expect(seen.stdout).toBe('run\nrun\n/tmp\n');
  });

  it('holds a running container while it reads, and lets it go on', async () => {
    await using t = await testEngine();
    const script = 'i=0; echo up; while :; do i=$((i+1)); echo $i > /a; cp /a /b; done';
    const { container } = await t.engine.run({ image: 'busybox', command: ['sh', '-c', script], network: 'none' });
    await until('its first word', async () => (await logText(container.logs())).includes('up'));
    // Read in the middle of a write, a file may be shorter than it was a moment before, which the reader says.
    const written = (): Promise<string> =>
      until('the counter', async () => {
        const { archive } = await container.readArchive('/a');
        return text(archive).catch(() => undefined);
      });
    await container.commit({ reference: 'live' });
    const before = await written();
    await until('another write', async () => (await written()) !== before);
    // A file that was held between two writes is whole, or empty where it had just been opened.
    const { stdout } = await sh(t.engine, 'cat /a | wc -l', { image: 'live' });
    expect(Number(stdout)).toBeLessThanOrEqual(1);
    await expect(container.changes()).rejects.toMatchObject({ code: 'ENGINE_CONTAINER_RUNNING' });
    const abort = new AbortController();
    const aborted = container.commit({ reference: 'never', signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow();
    await expect(t.engine.images.resolve('never')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    const later = await written();
    await until('another write', async () => (await written()) !== later);
    expect(
      readdirSync(join(t.layout.rootDir, 'containers', container.id)).filter((name) => name.startsWith('commit-')),
    ).toEqual([]);
  });

  it('commits without holding when told', async () => {
    await using t = await testEngine();
    const { container } = await t.engine.run({
      image: 'busybox',
      command: ['sh', '-c', 'echo x > /x; echo up; sleep 60'],
      network: 'none',
    });
    await until('its first word', async () => (await logText(container.logs())).includes('up'));
    await container.commit({ reference: 'live', pause: false });
    expect((await sh(t.engine, 'cat /x', { image: 'live' })).stdout).toBe('x\n');
  });

  it('refuses what is wrong before anything is done', async () => {
    await using t = await testEngine();
    const container = await ended(t.engine, 'true');
    expect(await failureOf(container.commit({ changes: ['FROM x'] }))).toMatch(/^CHANGE_INVALID: /);
    expect(await failureOf(container.commit({ reference: 'NOT A NAME' }))).toMatch(/^REFERENCE_INVALID: /);
    expect(await t.engine.images.list()).toHaveLength(1);
  });

  it('begins with the root directory that the image has', async () => {
    await using t = await testEngine({ tree: (dir) => execFileSync('chmod', ['0711', dir]) });
    const container = await ended(t.engine, 'test "$(stat -c %a /)" = 711');
    expect(await container.changes()).toBeUndefined();
  });
});

describeRoot('removeImage', () => {
  beforeAll(warmUp);

  it('keeps the image of a container, unless forced and it is stopped', async () => {
    await using t = await testEngine();
    const { engine } = t;
    const running = await engine.run({ image: 'busybox', command: ['sleep', '60'], network: 'none' });
    const { id } = await engine.images.resolve('busybox');
    const [short, user] = [id.slice(7, 19), running.container.id.slice(0, 12)];
    await engine.images.tag('busybox', 'bb');
    expect(await engine.removeImage('busybox')).toEqual({ untagged: ['busybox:latest'], deleted: [] });
    expect(await failureOf(engine.removeImage('bb'))).toBe(
      `ENGINE_IMAGE_IN_USE: conflict: unable to remove repository reference "bb" (must force) - container ${user} is using its referenced image ${short}`,
    );
    expect(await failureOf(engine.removeImage('bb', { force: true }))).toBe(
      `ENGINE_IMAGE_IN_USE: conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${user}`,
    );
    await running.container.kill();
    expect(await failureOf(engine.removeImage(short))).toBe(
      `ENGINE_IMAGE_IN_USE: conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${user}`,
    );
    expect(await engine.removeImage('bb', { force: true })).toEqual({ untagged: ['bb:latest'], deleted: [id] });
    // Its files are still there.
    await running.container.start();
    await running.container.remove({ force: true });
  });
});
