import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { appendLayer, emptyImage, layerFromFiles, openImageStore } from '@tsc/image';
import type { ImageStore, StoredImage } from '@tsc/image';
import { describeRoot } from '../../../test/root.ts';
import { build } from '../src/index.ts';
import type { BuildOptions } from '../src/index.ts';

describeRoot('build into a real store', () => {
  let dir: string;
  let store: ImageStore;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tsc-builder-'));
    mkdirSync(join(dir, 'context'));
    store = await openImageStore({ rootDir: join(dir, 'store') });
    const files = [
      { path: '/usr/bin/node', content: 'node', mode: 0o755 },
      { path: '/bin', linkTarget: 'usr/bin' },
      { path: '/tmp', mode: 0o1777 },
      { path: '/etc/passwd', content: 'root:x:0:0::/:' },
    ];
    const over = [
      { path: '/etc/motd', content: 'hello' },
      { path: '/tmp/.wh.gone', content: '' },
    ];
    const base = appendLayer(emptyImage(), await layerFromFiles(files));
    await store.write(appendLayer(base, await layerFromFiles([{ path: '/tmp', mode: 0o1777 }, ...over])), {
      names: ['base'],
    });
  });
  afterEach(() => {
    rmSync(dir, { recursive: true });
  });

  const put = (path: string, text: string): void => {
    mkdirSync(join(dir, 'context', path, '..'), { recursive: true });
    writeFileSync(join(dir, 'context', path), text);
  };

  async function run(dockerfileText: string, options: Partial<BuildOptions> = {}): Promise<StoredImage> {
    let id = '';
    for await (const event of build({ contextDir: join(dir, 'context'), dockerfileText, store, ...options })) {
      if (event.type === 'built') id = event.imageId;
    }
    return store.resolve(id);
  }

  const top = ({ layerDirs }: StoredImage, path: string): string => join(layerDirs[0] ?? '', path);

  test('a server on a base image, as npm start makes it', async () => {
    put('server.mjs', 'serve()');
    put('node_modules/secret', 'x');
    put('.dockerignore', 'node_modules');
    put('Dockerfile', 'FROM base\nWORKDIR /app\nCOPY . .\nENV PORT=8080\nEXPOSE $PORT\nCMD ["node", "server.mjs"]\n');
    const image = await run('', { dockerfileText: undefined, tags: ['hello:1'] });
    expect(image.names).toEqual(['hello:1']);
    expect((await store.resolve('hello:1')).id).toBe(image.id);
    expect(readFileSync(top(image, 'app/server.mjs'), 'utf8')).toBe('serve()');
    expect(() => statSync(top(image, 'app/node_modules'))).toThrow('ENOENT');
    expect(image.config.config).toMatchObject({
      WorkingDir: '/app',
      ExposedPorts: { '8080/tcp': {} },
      Cmd: ['node', 'server.mjs'],
    });
    expect(image.layerDirs).toHaveLength(4);
  });

  test('keeps what the base has: modes of directories, and links to them', async () => {
    put('f', 'F');
    const image = await run('FROM base\nCOPY f f /tmp/\nCOPY f /bin/f\n');
    expect(readFileSync(top(image, 'usr/bin/f'), 'utf8')).toBe('F');
    expect(() => statSync(top(image, 'bin'))).toThrow('ENOENT');
    expect(statSync(join(image.layerDirs[1] ?? '', 'tmp')).mode & 0o7777).toBe(0o1777);
  });

  test('copies from an image through its links, all its layers seen as one', async () => {
    const image = await run('FROM scratch\nCOPY --from=base /bin/node /node\nCOPY --from=base /etc /etc/\n');
    expect(readFileSync(join(image.layerDirs[1] ?? '', 'node'), 'utf8')).toBe('node');
    expect(readFileSync(top(image, 'etc/passwd'), 'utf8')).toContain('root');
    expect(readFileSync(top(image, 'etc/motd'), 'utf8')).toBe('hello');
  });

  test('sees what RUN made and removed', async () => {
    const made = await layerFromFiles([
      { path: '/out/result', content: 'R' },
      { path: '/etc/.wh.passwd', content: '' },
    ]);
    const runStep: BuildOptions['runStep'] = async function* () {
      await Promise.resolve();
      yield { type: 'finished', exitCode: 0, layer: made };
    };
    const image = await run('FROM base AS b\nRUN make\nFROM scratch\nCOPY --from=b /out/result /etc/ /x/\n', {
      runStep,
    });
    expect(readFileSync(top(image, 'x/result'), 'utf8')).toBe('R');
    expect(() => statSync(top(image, 'x/passwd'))).toThrow('ENOENT');
  });

  test('copies from a layer that replaces a directory nothing of what it replaces', async () => {
    const opaque = await layerFromFiles([
      { path: '/etc/.wh..wh..opq', content: '' },
      { path: '/etc/new/deep', content: 'D' },
    ]);
    await store.write(appendLayer(await store.image('base'), opaque), { names: ['opaque'] });
    const image = await run('FROM scratch\nCOPY --from=opaque /etc/ /x/\nCOPY --from=opaque /usr /usr');
    expect(readdirSync(join(image.layerDirs[1] ?? '', 'x'))).toEqual(['new']);
    expect(readFileSync(top(image, 'usr/bin/node'), 'utf8')).toBe('node');
    await expect(run('FROM scratch\nCOPY --from=opaque /etc/motd /x')).rejects.toThrow('/etc/motd');
  });

  test('a link in the context that leads to the host’s files copies nothing', async () => {
    writeFileSync(join(dir, 'canary'), 'secret');
    symlinkSync(join(dir, 'canary'), join(dir, 'context/link'));
    await expect(run('FROM base\nCOPY link /x')).rejects.toThrow('not in the build context');
    expect(await store.list()).toHaveLength(1);
  });
});
