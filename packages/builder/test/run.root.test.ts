import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { StoredImage } from '@tsc/image';
import { describeRoot } from '../../../test/root.ts';
import { testEngine, until, warmUp } from '../../engine/test/test-engine.ts';
import type { TestEngine } from '../../engine/test/test-engine.ts';
import { build, engineRunStep } from '../src/index.ts';
import type { BuildOptions, EngineRunStepOptions } from '../src/index.ts';

interface Built {
  readonly image: StoredImage;
  readonly output: string;
}

describeRoot('RUN in the engine', () => {
  let context: string;
  beforeAll(warmUp);
  beforeEach(() => {
    context = mkdtempSync(join(tmpdir(), 'tsc-run-'));
  });
  afterEach(() => {
    rmSync(context, { recursive: true });
  });

  const put = (path: string, text: string): void => {
    mkdirSync(join(context, path, '..'), { recursive: true });
    writeFileSync(join(context, path), text);
  };

  async function run(
    t: TestEngine,
    dockerfileText: string,
    options: Partial<BuildOptions> & { readonly step?: EngineRunStepOptions } = {},
  ): Promise<Built> {
    const runStep = engineRunStep(t.engine, { network: 'none', ...options.step });
    const store = t.engine.images;
    const before = new Set((await store.list()).map((image) => image.id));
    let [id, output] = ['', ''];
    try {
      for await (const event of build({ contextDir: context, dockerfileText, store, runStep, ...options })) {
        if (event.type === 'step-output') output += Buffer.from(event.bytes).toString();
        if (event.type === 'built') id = event.imageId;
      }
    } finally {
      // Of containers, mounts and intermediate images nothing is left, however it ended.
      expect(t.engine.listContainers({ all: true })).toEqual([]);
      expect(readdirSync(t.engine.rootDir).filter((name) => name.startsWith('build-mount-'))).toEqual([]);
      expect(
        (await store.list()).map((image) => image.id).filter((other) => !before.has(other) && other !== id),
      ).toEqual([]);
    }
    return { image: await store.resolve(id), output };
  }

  const failure = (t: TestEngine, text: string, options?: Parameters<typeof run>[2]): Promise<string> =>
    run(t, text, options).then(
      () => 'it succeeded',
      (error: unknown) =>
        Error.isError(error) && 'code' in error ? `${String(error.code)}: ${error.message}` : 'other',
    );

  test('makes a layer of what changed, and none of what did not', async () => {
    await using t = await testEngine();
    const { image, output } = await run(
      t,
      [
        'FROM busybox',
        'RUN echo one > /data/one; rm /data/from-image; echo out; echo err >&2',
        'RUN true',
        'RUN rm -r /data && mkdir /data && cat /bin/busybox > /data/two',
        'FROM scratch',
        'COPY --from=0 /data /',
      ].join('\n'),
      { tags: ['made'] },
    );
    expect([...output.trim().split('\n')].sort()).toEqual(['err', 'out']);
    expect(image.names).toEqual(['made:latest']);
    expect(readdirSync(image.layerDirs[0] ?? '')).toEqual(['two']);
    expect(image.layerDirs).toHaveLength(1);
    const three = await run(t, 'FROM busybox\nRUN touch /x\nRUN true\nRUN cat /x && rm /x');
    expect(three.image.layerDirs).toHaveLength(3);
    expect(three.image.config.history?.slice(-3).map((line) => line.empty_layer ?? false)).toEqual([
      false,
      true,
      false,
    ]);
  });

  test('gives it the user, directory, variables and root of the stage, and nothing of the host (V38)', async () => {
    await using t = await testEngine();
    process.env['TSC_CANARY'] = 'leak';
    try {
      const { output } = await run(
        t,
        [
          'FROM busybox',
          'ARG SECRET=shown',
          'ENV A=1 B="two words"',
          'WORKDIR /work',
          'USER alice',
          'VOLUME /tmp',
          'ENTRYPOINT ["/never"]',
          'CMD ["never"]',
          'RUN env | sort && id -u && pwd && hostname && touch /tmp/kept',
          'RUN ls /tmp',
        ].join('\n'),
      );
      expect(output.split('\n')).toEqual([
        'A=1',
        'B=two words',
        'HOME=/home/alice',
        'HOSTNAME=build',
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'PWD=/work',
        'SECRET=shown',
        'SHLVL=1',
        '1000',
        '/work',
        'build',
        'kept',
        '',
      ]);
    } finally {
      delete process.env['TSC_CANARY'];
    }
  });

  test('says how a command failed, and leaves nothing', async () => {
    await using t = await testEngine();
    expect(await failure(t, 'FROM busybox\nRUN touch /x\nRUN echo broken; exit 3')).toMatch(
      /^BUILDER_RUN_FAILED: Dockerfile:3: .*ended with exit code 3/,
    );
    expect(await failure(t, 'FROM busybox\nRUN ["/not/there"]')).toMatch(
      /^BUILDER_RUN_FAILED: Dockerfile:2: .*not\/there/,
    );
    expect(await failure(t, 'FROM busybox\nUSER nobody-here\nRUN true')).toMatch(/nobody-here/);
  });

  test('refuses what it cannot honour before anything is done', async () => {
    await using t = await testEngine();
    for (const [flag, why] of [
      ['--security=insecure', 'security=insecure is not supported'],
      ['--device=vendor.com/x=y', 'device is not supported'],
      ['--network=host', 'network=host is not allowed'],
      ['--mount=type=cache,target=/c', 'mount=type=cache is not supported'],
      ['--mount=type=secret,id=s', 'mount=type=secret is not supported'],
      ['--mount=type=ssh', 'mount=type=ssh is not supported'],
    ] as const) {
      const message = await failure(t, `FROM busybox\nRUN touch /x\nRUN ${flag} true`);
      expect(message).toMatch(/^BUILDER_UNSUPPORTED: Dockerfile:3: /);
      expect(message).toContain(why);
    }
  });

  test('keeps to the network that is asked for', async () => {
    await using t = await testEngine();
    const links = async (flag: string, step: EngineRunStepOptions): Promise<string> =>
      (
        await run(t, `FROM busybox\nRUN ${flag} ls /sys/class/net | sort | tr '\\n' ' '; readlink /proc/self/ns/net`, {
          step,
        })
      ).output;
    expect(await links('', { network: 'bridge' })).toMatch(/^eth0 lo net:/);
    expect(await links('--network=none', { network: 'bridge' })).toMatch(/^lo net:/);
    const host =
      readFileSync('/proc/self/mountinfo', 'utf8') && (await import('node:fs')).readlinkSync('/proc/self/ns/net');
    expect(await links('--network=host', { allow: ['network.host'] })).toContain(host);
    expect(await links('', { network: 'host' })).toContain(host);
  });

  test('mounts the context, a stage and memory, none of which is in the layer (V31)', async () => {
    await using t = await testEngine();
    writeFileSync(t.at('canary'), 'secret of the host');
    put('src/main.c', 'int main;');
    put('secret.key', 'private');
    put('.dockerignore', 'secret.key');
    symlinkSync(t.at('canary'), join(context, 'link'));
    symlinkSync('/', join(context, 'root'));
    const { image, output } = await run(
      t,
      [
        'FROM busybox AS evil',
        'RUN ln -s / /link && ln -s /data /to-data && echo stage > /data/stage',
        'FROM busybox',
        'WORKDIR /w',
        'RUN --mount=target=/ctx --mount=type=tmpfs,target=mem,size=1m ls -A /ctx /ctx/root/ && cat /ctx/src/main.c && ' +
          '! touch /ctx/x 2>/dev/null && echo m > mem/m && ! cp /bin/busybox mem/b 2>/dev/null && rm mem/b && printf "#!/bin/sh\\necho ran" > mem/s && chmod +x mem/s && mem/s',
        'RUN --mount=source=src/main.c,target=/f,rw cat /f && echo changed > /f',
        'RUN --mount=from=evil,source=/link/to-data,target=/d cat /d/stage && ! ls /ctx 2>/dev/null',
      ].join('\n'),
    );
    expect(output).toContain('ran');
    expect(output).toContain('stage');
    expect(output).not.toContain('secret');
    expect(output).not.toContain('private');
    expect(output.match(/int main;/g)).toHaveLength(2);
    expect(readFileSync(join(context, 'src/main.c'), 'utf8')).toBe('int main;');
    expect(existsSync(join(context, 'x'))).toBe(false);
    // WORKDIR made a layer; the mounts and what they were mounted on are no changes.
    expect(image.layerDirs).toHaveLength(2);
    expect(await failure(t, 'FROM busybox\nRUN --mount=source=/link,target=/f cat /f')).toMatch(
      /^BUILDER_SOURCE_NOT_FOUND: Dockerfile:2: cannot mount/,
    );
    expect(await failure(t, 'FROM busybox\nRUN --mount=source=secret.key,target=/f cat /f')).toMatch(
      /^BUILDER_SOURCE_NOT_FOUND: /,
    );
  });

  test('ends the container when it is aborted, or nobody listens any more', async () => {
    await using t = await testEngine();
    const abort = new AbortController();
    const runStep = engineRunStep(t.engine, { network: 'none' });
    const events = build({
      dockerfileText: 'FROM busybox\nRUN echo up; sleep 1000',
      store: t.engine.images,
      runStep,
      signal: abort.signal,
    });
    await expect(
      (async () => {
        for await (const event of events) if (event.type === 'step-output') abort.abort(new Error('enough'));
      })(),
    ).rejects.toThrow('enough');
    expect(t.engine.listContainers({ all: true })).toEqual([]);
    for await (const event of build({
      dockerfileText: 'FROM busybox\nRUN yes',
      store: t.engine.images,
      runStep,
    })) {
      if (event.type === 'step-output') break;
    }
    expect(t.engine.listContainers({ all: true })).toEqual([]);
    expect(await t.engine.images.list()).toHaveLength(1);
  });

  test('does not read ahead of a slow reader', async () => {
    await using t = await testEngine();
    const runStep = engineRunStep(t.engine, { network: 'none' });
    const before = process.memoryUsage.rss();
    for await (const event of build({ dockerfileText: 'FROM busybox\nRUN yes', store: t.engine.images, runStep })) {
      if (event.type !== 'step-output') continue;
      const started = performance.now();
      await until('a second to pass', () => performance.now() - started > 1000);
      break;
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(50 * 1024 ** 2);
  });
});
