import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { layerFromFiles } from '@tsc/image';
import type { Image } from '@tsc/image';
import { memoryStore } from '../test/memory-store.ts';
import { build } from './build.ts';
import type { BuildEvent, BuildOptions } from './build.ts';
import type { RunRequest } from './run-step.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsc-builder-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const put = (path: string, text: string, mode = 0o644): void => {
  mkdirSync(join(dir, path, '..'), { recursive: true });
  writeFileSync(join(dir, path), text, { mode });
};

type Done = Extract<BuildEvent, { readonly type: 'built' }>;

async function run(
  dockerfileText: string,
  options: Partial<BuildOptions> = {},
): Promise<Done & { readonly events: readonly BuildEvent[] }> {
  const events: BuildEvent[] = [];
  for await (const event of build({
    contextDir: dir,
    dockerfileText,
    platform: 'linux/amd64',
    store: memoryStore(),
    ...options,
  })) {
    events.push(event);
  }
  const last = events.at(-1);
  if (last?.type !== 'built') throw new Error('not built');
  return { ...last, events };
}

/** Reads ustar headers, for the tests' own small archives: name, kind, mode, owner and size. */
async function members(image: Image, layer: number): Promise<readonly string[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of image.layers[layer]?.open() ?? []) chunks.push(chunk as Buffer);
  const tar = Buffer.concat(chunks);
  const found: string[] = [];
  const octal = (at: number, length: number): number => Number.parseInt(tar.toString('latin1', at, at + length), 8);
  for (let at = 0; at < tar.length && tar[at] !== 0;) {
    const name = tar.toString('utf8', at, at + 100).split('\0')[0] ?? '';
    const kind = tar.toString('latin1', at + 156, at + 157);
    const link = tar.toString('utf8', at + 157, at + 257).split('\0')[0] ?? '';
    const size = octal(at + 124, 12);
    const data = kind === '0' ? ` ${JSON.stringify(tar.toString('utf8', at + 512, at + 512 + size))}` : '';
    const mode = octal(at + 100, 8).toString(8);
    found.push(
      `${kind} ${name.replace(/\/$/, '')} ${mode} ${String(octal(at + 108, 8))}:${String(octal(at + 116, 8))}${link && ` -> ${link}`}${data}`,
    );
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return found;
}

describe('COPY', () => {
  test('puts a file at a path, in a directory, and a directory’s content', async () => {
    put('a.txt', 'A', 0o755);
    put('d/x/y.txt', 'Y');
    symlinkSync('x/y.txt', join(dir, 'd/link'));
    const { image } = await run(
      'FROM scratch\nCOPY a.txt /b\nCOPY a.txt /etc/\nWORKDIR /w\nCOPY d .\nCOPY a.txt a.txt d/x ./z/',
    );
    expect(await members(image, 0)).toEqual(['0 b 755 0:0 "A"']);
    expect(await members(image, 1)).toEqual(['5 etc 755 0:0', '0 etc/a.txt 755 0:0 "A"']);
    expect(await members(image, 2)).toEqual(['5 w 755 0:0']);
    expect(await members(image, 3)).toEqual([
      '5 w 755 0:0',
      '2 w/link 777 0:0 -> x/y.txt',
      '5 w/x 755 0:0',
      '0 w/x/y.txt 644 0:0 "Y"',
    ]);
    expect(await members(image, 4)).toEqual([
      '5 w 755 0:0',
      '5 w/z 755 0:0',
      '0 w/z/a.txt 755 0:0 "A"',
      '0 w/z/y.txt 644 0:0 "Y"',
    ]);
  });

  test('keeps attributes of directories that are there, and follows their links', async () => {
    put('f', 'F');
    const store = memoryStore();
    await run('FROM scratch\nCOPY --chmod=1777 --chown=5:6 f /tmp/f\n', { store, tags: ['base'] });
    put('root/usr/bin/sh', '#', 0o755);
    symlinkSync('usr/bin', join(dir, 'root/bin'));
    const { image } = await run('FROM scratch\nCOPY --chown=1:2 root/ /\nCOPY --chmod=700 f /bin/f\nCOPY f /bin\n');
    expect(await members(image, 0)).toEqual([
      '2 bin 777 1:2 -> usr/bin',
      '5 usr 755 1:2',
      '5 usr/bin 755 1:2',
      '0 usr/bin/sh 755 1:2 "#"',
    ]);
    expect(await members(image, 1)).toEqual(['5 usr 755 1:2', '5 usr/bin 755 1:2', '0 usr/bin/f 700 0:0 "F"']);
    expect(await members(image, 2)).toContain('0 usr/bin/f 644 0:0 "F"');
  });

  test('takes patterns, which may match nothing', async () => {
    put('package.json', '{}');
    put('src/a.ts', 'a');
    put('src/b.js', 'b');
    const { image } = await run('FROM scratch\nCOPY package.json lock* s*/*.ts /');
    expect(await members(image, 0)).toEqual(['0 a.ts 644 0:0 "a"', '0 package.json 644 0:0 "{}"']);
  });

  test('leaves out what .dockerignore says', async () => {
    put('.dockerignore', 'node_modules\n**/*.log\n!keep.log\n');
    put('node_modules/x', 'x');
    put('a.log', 'x');
    put('keep.log', 'k');
    put('src/b.log', 'x');
    put('src/c', 'c');
    const { image } = await run('FROM scratch\nCOPY . /');
    expect(await members(image, 0)).toEqual([
      '0 .dockerignore 644 0:0 "node_modules\\n**/*.log\\n!keep.log\\n"',
      '0 keep.log 644 0:0 "k"',
      '5 src 755 0:0',
      '0 src/c 644 0:0 "c"',
    ]);
    await expect(run('FROM scratch\nCOPY a.log /')).rejects.toThrow(
      'Dockerfile:2: cannot copy a.log: .dockerignore leaves it out of the build context',
    );
  });

  test('of a link never leads out of the context', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'tsc-builder-'));
    writeFileSync(join(outside, 'canary'), 'secret');
    put('inside', 'in');
    symlinkSync(join(outside, 'canary'), join(dir, 'direct'));
    symlinkSync(outside, join(dir, 'through'));
    symlinkSync('../../../../../../etc', join(dir, 'up'));
    symlinkSync('/inside', join(dir, 'absolute'));
    symlinkSync('loop', join(dir, 'loop'));
    for (const source of [
      'direct',
      'through/canary',
      'up/passwd',
      '../../../../../etc/passwd',
      `..${outside}/canary`,
    ]) {
      await expect(run(`FROM scratch\nCOPY ${source} /x`)).rejects.toThrow('not in the build context');
    }
    await expect(run('FROM scratch\nCOPY loop /x')).rejects.toThrow('over 40 links');
    expect(await members((await run('FROM scratch\nCOPY absolute /x')).image, 0)).toEqual(['0 x 644 0:0 "in"']);
    // A directory's links are copied as links.
    const { image } = await run('FROM scratch\nCOPY . /');
    expect((await members(image, 0)).join('\n')).not.toContain('secret');
    rmSync(outside, { recursive: true });
  });

  test('here-documents expand variables unless quoted', async () => {
    const { image } = await run('FROM scratch\nENV NAME=me\nCOPY <<a <<-"b" /d/\nhi "$NAME"\na\n\t$NAME\n\tb\n', {
      contextDir: undefined,
    });
    expect(await members(image, 0)).toEqual([
      '5 d 755 0:0',
      '0 d/a 644 0:0 "hi \\"me\\"\\n"',
      '0 d/b 644 0:0 "$NAME\\n"',
    ]);
  });

  test('from another stage keeps owners', async () => {
    put('a', 'A', 0o600);
    const { image } = await run(
      'FROM scratch AS one\nCOPY --chown=7:8 a /x/a\nFROM scratch\nCOPY --from=one /x/ /y/\nCOPY --from=0 /x/a /z',
    );
    expect(await members(image, 0)).toEqual(['5 y 755 7:8', '0 y/a 600 7:8 "A"']);
    expect(await members(image, 1)).toEqual(['0 z 600 7:8 "A"']);
  });

  test.each([
    ['COPY nothing /', 'Dockerfile:2: cannot copy nothing: not in the build context'],
    ['COPY a b /c', 'Dockerfile:2: cannot copy several files to /c: a directory ends with /'],
    ['COPY a /x\nCOPY a /x/y', 'Dockerfile:3: cannot make the directory /x: a file is there'],
    ['COPY e /x\nCOPY d /x', 'Dockerfile:3: cannot make the directory /x: a file is there'],
    ['COPY d /\nCOPY e /dir/sub\nCOPY d /dir', 'Dockerfile:4: cannot copy a directory over the file /dir/sub'],
    ['COPY --chown=node a /', 'only numbers so far'],
    ['COPY --chmod=u+x a /', 'only octal modes so far'],
    ['COPY --parents a /', '--parents is not supported yet'],
    ['ADD https://example.org/x /', 'ADD takes local files only so far, not https://example.org/x'],
    ['ENV U=http://x\nADD $U /', 'Dockerfile:3: ADD takes local files only so far, not http://x'],
    ['ADD a.tgz /', 'ADD would unpack a.tgz'],
    ['RUN true', 'Dockerfile:2: RUN needs something that runs containers'],
    ['COPY --from=busybox /x /', 'Dockerfile:2: no such image: busybox'],
  ])('refuses %j', async (text, message) => {
    put('a', 'A');
    put('b', 'B');
    put('d/sub/f', 'f');
    put('e', 'e');
    put('a.tgz', '\u001f\u008b');
    writeFileSync(join(dir, 'a.tgz'), Buffer.from([0x1f, 0x8b, 8]));
    const store = memoryStore();
    await expect(run(`FROM scratch\n${text}`, { store })).rejects.toThrow(message);
    expect(store.images.size).toBe(0);
  });
});

describe('settings', () => {
  test('end up in the config and the history', async () => {
    const { image } = await run(
      `ARG V=1
FROM scratch
ARG V
ARG W=\${V}2
ENV A=$W B="x y" PATH=/bin
ENV C=\${A}3
LABEL a=$A __proto__=p
WORKDIR /one
WORKDIR two
USER 1:2
EXPOSE 80 8000-8001/udp
VOLUME /data "/x"
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD curl localhost
SHELL ["/bin/bash", "-c"]
ENTRYPOINT echo hi
CMD ["a", "b"]
ONBUILD COPY . /src
MAINTAINER me`,
      { labels: { extra: '1' }, created: new Date('2026-01-02T03:04:05Z') },
    );
    expect(image.config.config).toEqual({
      Env: ['A=12', 'B=x y', 'PATH=/bin', 'C=123'],
      Labels: Object.fromEntries([
        ['a', '12'],
        ['__proto__', 'p'],
        ['extra', '1'],
      ]),
      WorkingDir: '/one/two',
      User: '1:2',
      ExposedPorts: { '80/tcp': {}, '8000/udp': {}, '8001/udp': {} },
      Volumes: { '/data': {}, '/x': {} },
      StopSignal: 'SIGINT',
      Healthcheck: { Test: ['CMD-SHELL', 'curl localhost'], Interval: 5e9 },
      Shell: ['/bin/bash', '-c'],
      Entrypoint: ['/bin/bash', '-c', 'echo hi'],
      Cmd: ['a', 'b'],
      OnBuild: ['COPY . /src'],
    });
    expect(image.config).toMatchObject({
      author: 'me',
      created: '2026-01-02T03:04:05.000Z',
      os: 'linux',
      architecture: 'amd64',
    });
    const history = image.config.history ?? [];
    expect(history.filter((step) => step.empty_layer !== true).map((step) => step.created_by)).toEqual([
      'WORKDIR /one',
      'WORKDIR /one/two',
    ]);
    expect(history.map((step) => step.created_by)).toContain('ENV A=12 B=x y PATH=/bin');
  });

  test('of a base are kept; ENTRYPOINT takes its CMD away; ONBUILD runs once', async () => {
    put('f', 'F');
    const store = memoryStore();
    await run('FROM scratch\nENV A=1\nCMD ["old"]\nONBUILD ENV B=$A\nONBUILD COPY f /f', { store, tags: ['base'] });
    const { image } = await run('FROM base\nENTRYPOINT ["/e"]', { store });
    expect(image.config.config).toEqual({ Env: ['A=1', 'B=1'], Entrypoint: ['/e'] });
    expect(image.layers).toHaveLength(1);
    expect((await run('FROM base\nCMD ["new"]\nENTRYPOINT ["/e"]', { store })).image.config.config?.Cmd).toEqual([
      'new',
    ]);
  });

  test('are refused with their line when they expand to nonsense', async () => {
    await expect(run('FROM scratch\nENV P=x\nEXPOSE $P')).rejects.toThrow('Dockerfile:3: x is no port');
    await expect(run('FROM scratch\nENV A=${B:?needed}')).rejects.toThrow(
      'Dockerfile:2: cannot expand ${B:?needed}: B: needed',
    );
  });
});

describe('a build', () => {
  test('of the same content makes the same image', async () => {
    put('a/b', 'x');
    const text = 'FROM scratch\nCOPY . /app\nCMD ["/app/b"]';
    const first = await run(text);
    utimesSync(join(dir, 'a/b'), 1, 1);
    expect((await run(text)).manifestDigest).toBe(first.manifestDigest);
    const dated = await run(text, { buildArgs: { SOURCE_DATE_EPOCH: '86400' } });
    expect(dated.image.config.created).toBe('1970-01-02T00:00:00.000Z');
    expect(dated.manifestDigest).not.toBe(first.manifestDigest);
  });

  test('tells its steps', async () => {
    put('a', 'A');
    const { events, names } = await run('FROM scratch AS x\nCOPY a /\nUSER 1\n', { tags: ['hello'] });
    expect(
      events.map((event) =>
        event.type === 'step-started'
          ? `${String(event.step)}/${String(event.steps)} ${event.stage} ${event.text}`
          : event.type,
      ),
    ).toEqual(['planned', '1/2 x COPY a /', 'step-done', '2/2 x USER 1', 'step-done', 'built']);
    expect(names).toEqual(['hello']);
  });

  test('hands RUN to runStep, and takes its layer', async () => {
    const requests: RunRequest[] = [];
    const layer = await layerFromFiles([{ path: '/made', content: 'm' }]);
    const { image, events } = await run(
      'FROM scratch\nARG V=1\nARG HIDDEN=a\nENV E=2 HIDDEN=b\nUSER 5\nWORKDIR /w\nRUN --network=none make $V\nRUN ["x"]\nRUN <<EOF\nline 1\nEOF',
      {
        buildArgs: { http_proxy: 'p' },
        runStep: async function* (request) {
          await Promise.resolve();
          requests.push(request);
          yield { type: 'output', stream: 'stdout', bytes: Buffer.from('hi') };
          yield { type: 'finished', exitCode: 0, layer: requests.length === 1 ? layer : undefined };
        },
      },
    );
    expect(requests).toMatchObject([
      {
        argv: ['/bin/sh', '-c', 'make $V'],
        env: ['E=2', 'HIDDEN=b', 'http_proxy=p', 'V=1'],
        user: '5',
        workingDir: '/w',
        network: 'none',
      },
      { argv: ['x'], network: 'default' },
      { argv: ['/bin/sh', '-c', 'line 1\n'] },
    ]);
    expect(image.layers).toHaveLength(2);
    expect(await members(image, 1)).toEqual(['0 made 644 0:0 "m"']);
    expect(JSON.stringify(image.config)).not.toContain('http_proxy');
    expect(events.filter(({ type }) => type === 'step-output')).toHaveLength(3);
  });

  test('fails with RUN, and stops at an aborted signal', async () => {
    const runStep = async function* () {
      await Promise.resolve();
      yield { type: 'finished' as const, exitCode: 3, layer: undefined };
    };
    await expect(run('FROM scratch\nRUN false', { runStep })).rejects.toThrow(
      'Dockerfile:2: RUN false: ended with exit code 3',
    );
    await expect(run('FROM scratch\nUSER 1', { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
  });

  test('refuses a base for another platform, and a context that is none', async () => {
    const store = memoryStore();
    await run('FROM scratch\nUSER 1', { store, tags: ['base'] });
    await expect(run('FROM base', { store, platform: 'linux/arm64' })).rejects.toThrow(
      'Dockerfile:1: no such image: base is for linux/amd64, not linux/arm64',
    );
    await expect(run('FROM scratch\nCOPY a /', { contextDir: join(dir, 'none') })).rejects.toThrow('is no directory');
    await expect(run('FROM scratch\nCOPY a /', { contextDir: undefined })).rejects.toThrow('needs a context');
    await expect(run('', { dockerfileText: undefined })).rejects.toThrow('Dockerfile: ENOENT');
  });
});
