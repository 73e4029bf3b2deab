import { describe, expect, test } from '@jest/globals';
import type { Instruction } from './ast.ts';
import { parseDockerfile } from './dockerfile.ts';
import { heredocText } from './heredoc.ts';

const instructions = (text: string): readonly Instruction[] =>
  parseDockerfile(`FROM scratch\n${text}`).stages[0]?.instructions ?? [];
type OfType<T, I = Instruction> = I extends { readonly type: infer U } ? (T extends U ? I : never) : never;
const only = <T extends Instruction['type']>(text: string, type: T): OfType<T> => {
  const [instruction] = instructions(text);
  if (instruction?.type !== type) throw new Error(`want ${type}, got ${String(instruction?.type)}`);
  return instruction as OfType<T>;
};
const messageOf = (text: string): string => {
  try {
    parseDockerfile(text);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
};

describe('directives', () => {
  test('are read at the top only', () => {
    const { directives } = parseDockerfile(
      '# Syntax = docker/dockerfile:1\n#escape=`\n# check=skip=A, B;error=true\nFROM a',
    );
    expect(directives).toEqual({
      syntax: 'docker/dockerfile:1',
      escape: '`',
      check: { skip: ['A', 'B'], error: true },
    });
    expect(parseDockerfile('# hello\n# escape=`\nFROM a').directives.escape).toBe('\\');
    expect(parseDockerfile('\n# escape=`\nFROM a').directives.escape).toBe('\\');
  });

  test.each([
    ['# escape=\\\n# escape=`\nFROM a', 'Dockerfile:2: parser directive escape is given twice'],
    ['# escape=x\nFROM a', 'Dockerfile:1: escape must be \\ or `, not x'],
  ])('refuse %j', (text, message) => {
    expect(messageOf(text)).toContain(message);
  });
});

describe('lines', () => {
  test('are joined across continuations, comments and blank lines', () => {
    const run = only('RUN a \\\n  # not now \\\n  b \\ \n\n  c\nUSER x', 'run');
    expect(run.command).toEqual({ form: 'shell', script: 'a   b   c', heredocs: [] });
    expect(run.range).toEqual({ startLine: 2, endLine: 6 });
    expect(parseDockerfile('FROM a\nRUN b \\\n\n c').warnings.map(({ rule }) => rule)).toEqual(['NoEmptyContinuation']);
  });

  test('continue with the escape character of the directive', () => {
    const { stages } = parseDockerfile('# escape=`\nFROM a\nCOPY x `\n  c:\\y\\\nUSER u');
    expect(stages[0]?.instructions).toMatchObject([{ type: 'copy', destination: 'c:\\y\\' }, { type: 'user' }]);
  });

  test('may end in carriage returns and begin with a byte order mark', () => {
    expect(parseDockerfile('\uFEFFFROM a\r\nRUN b \\\r\n c\r\n').stages[0]?.instructions).toMatchObject([
      { command: { script: 'b  c' } },
    ]);
  });

  test('may end in the middle of a continuation', () => {
    expect(only('RUN a \\', 'run').command).toMatchObject({ script: 'a' });
  });
});

describe('here-documents', () => {
  test('belong to their instruction, several in order', () => {
    const copy = only('COPY <<a.txt <<-"b.txt" 3<<C /dir/\n1 $x\na.txt\n\t\t2\n\tb.txt\nC\nUSER x', 'copy');
    const heredocs = copy.sources.map((source) => (source.type === 'heredoc' ? source.heredoc : undefined));
    expect(heredocs).toMatchObject([
      { name: 'a.txt', expand: true, stripTabs: false, content: '1 $x\n' },
      { name: 'b.txt', expand: false, stripTabs: true, content: '\t\t2\n' },
      { name: 'C', descriptor: 3, content: '' },
    ]);
    expect(heredocs.map((heredoc) => heredoc && heredocText(heredoc))).toEqual(['1 $x\n', '2\n', '']);
    expect(instructions('COPY <<E /x\n# text\nE\nUSER x').map(({ type }) => type)).toEqual(['copy', 'user']);
  });

  test('of RUN keep the script on the line and the text beside it', () => {
    const run = only('RUN --network=none python3 <<EOF > /log\nprint(1)\nEOF', 'run');
    expect(run.network).toBe('none');
    expect(run.command).toMatchObject({ form: 'shell', script: 'python3 <<EOF > /log', heredocs: [{ name: 'EOF' }] });
  });

  test('are text elsewhere, and inside quotes', () => {
    expect(only('RUN echo "a <<EOF"', 'run').command).toMatchObject({ heredocs: [] });
    expect(only('RUN cat <<<word', 'run').command).toMatchObject({ heredocs: [] });
    expect(only('CMD cat <<EOF', 'cmd').command).toMatchObject({ script: 'cat <<EOF', heredocs: [] });
  });

  test('need their end', () => {
    expect(messageOf('FROM a\nRUN <<EOF\nx\n')).toContain('Dockerfile:2: here-document EOF has no end');
  });
});

describe('instructions', () => {
  test('FROM', () => {
    const { stages } = parseDockerfile('ARG V=1\nfrom --platform=$BUILDPLATFORM a:$V as Base\nFROM base');
    expect(stages).toMatchObject([
      { index: 0, name: 'base', from: { image: 'a:$V', platform: '$BUILDPLATFORM' } },
      { index: 1, name: undefined, from: { image: 'base' } },
    ]);
  });

  test('exec form, and shell form for what is not quite JSON', () => {
    expect(only('CMD ["a", "b c"]', 'cmd').command).toEqual({ form: 'exec', argv: ['a', 'b c'] });
    expect(only("ENTRYPOINT ['a']", 'entrypoint').command).toMatchObject({ form: 'shell', script: "['a']" });
    expect(messageOf('FROM a\nCMD ["a", 1]')).toContain('exec form takes strings only, not 1');
  });

  test('COPY and ADD', () => {
    expect(
      only(
        'COPY --from=x --chown=1:2 --chmod=755 --link --parents=false --exclude=*.o --exclude=b a "b c" /d/',
        'copy',
      ),
    ).toMatchObject({
      sources: [{ path: 'a' }, { path: '"b c"' }],
      destination: '/d/',
      from: 'x',
      chown: '1:2',
      chmod: '755',
      link: true,
      parents: false,
      exclude: ['*.o', 'b'],
    });
    expect(only('ADD ["a b", "/c d/"]', 'add')).toMatchObject({
      sources: [{ path: 'a b' }],
      destination: '/c d/',
      unpack: undefined,
    });
    expect(only('ADD --unpack --checksum=sha256:1 http://x /y', 'add')).toMatchObject({
      unpack: true,
      checksum: 'sha256:1',
    });
  });

  test('RUN mounts', () => {
    const run = only('RUN --mount=type=cache,"target=/a,b",sharing=locked --mount=src=x,dst=/y,ro make', 'run');
    expect(run.mounts).toEqual([
      {
        type: 'cache',
        options: new Map([
          ['target', '/a,b'],
          ['sharing', 'locked'],
        ]),
      },
      {
        type: 'bind',
        options: new Map([
          ['source', 'x'],
          ['target', '/y'],
          ['ro', 'true'],
        ]),
      },
    ]);
    expect(run.command).toMatchObject({ script: 'make' });
  });

  test('ENV and LABEL, new and old', () => {
    expect(only('ENV a=1 b="2 3" c=\\ d', 'env').pairs).toEqual([
      { key: 'a', value: '1' },
      { key: 'b', value: '"2 3"' },
      { key: 'c', value: '\\ d' },
    ]);
    expect(only('ENV path /a b  c', 'env').pairs).toEqual([{ key: 'path', value: '/a b  c' }]);
    expect(only('LABEL __proto__=x constructor=y', 'label').pairs).toEqual([
      { key: '__proto__', value: 'x' },
      { key: 'constructor', value: 'y' },
    ]);
  });

  test('ARG, several and without default', () => {
    expect(only('ARG a b=1 c=', 'arg').args).toEqual([
      { name: 'a', defaultValue: undefined },
      { name: 'b', defaultValue: '1' },
      { name: 'c', defaultValue: '' },
    ]);
  });

  test('HEALTHCHECK', () => {
    expect(
      only('HEALTHCHECK --interval=1m30s --timeout=500ms --start-interval=2s --retries=3 CMD ["x"]', 'healthcheck'),
    ).toMatchObject({
      command: { form: 'exec', argv: ['x'] },
      intervalNs: 90e9,
      timeoutNs: 5e8,
      startIntervalNs: 2e9,
      retries: 3,
    });
    expect(only('HEALTHCHECK NONE', 'healthcheck').command).toBeUndefined();
  });

  test('ONBUILD keeps its text and is parsed', () => {
    expect(only('ONBUILD COPY <<E /x\nhi\nE', 'onbuild')).toMatchObject({
      expression: 'COPY <<E /x\nhi\nE',
      trigger: { type: 'copy', destination: '/x' },
    });
  });

  test('the simple ones', () => {
    const text =
      'WORKDIR /a b\nUSER 1:2\nEXPOSE 80 8000-8010/udp\nVOLUME ["/a b"]\nVOLUME /x /y\nSTOPSIGNAL SIGINT\nSHELL ["/bin/bash","-c"]\nMAINTAINER me';
    expect(instructions(text)).toMatchObject([
      { type: 'workdir', value: '/a b' },
      { type: 'user', value: '1:2' },
      { type: 'expose', ports: ['80', '8000-8010/udp'] },
      { type: 'volume', paths: ['/a b'] },
      { type: 'volume', paths: ['/x', '/y'] },
      { type: 'stopsignal', value: 'SIGINT' },
      { type: 'shell', argv: ['/bin/bash', '-c'] },
      { type: 'maintainer', value: 'me' },
    ]);
  });
});

describe('mistakes', () => {
  test('show the line and point at the word', () => {
    expect(messageOf('FROM a\n\nUSER b\nRUNN make all')).toBe(
      'Dockerfile:4: unknown instruction RUNN, did you mean RUN?\n  4 | RUNN make all\n    | ^^^^',
    );
    expect(messageOf('FROM a\nRUN x \\\n  --y\nCOPY \\\n  --chmd=1 a b')).toBe(
      'Dockerfile:5: COPY has no flag --chmd, did you mean chmod?\n  5 |   --chmd=1 a b\n    |   ^^^^^^^^',
    );
  });

  test.each([
    ['', 'no FROM instruction'],
    ['ARG A\n# nothing', 'no FROM instruction'],
    ['RUN x\nFROM a', 'Dockerfile:1: RUN before the first FROM'],
    ['FROM', 'FROM needs an image'],
    ['FROM a b', 'FROM takes an image, or image AS name'],
    ['FROM a AS 1b', '1b is no stage name'],
    ['FROM a\nCOPY x', 'COPY needs a source and a destination'],
    ['FROM a\nCOPY --from=a --from=b x y', 'flag --from is given twice'],
    ['FROM a\nCOPY --chown x y', 'flag --chown needs a value'],
    ['FROM a\nCOPY --link=maybe x y', 'flag --link takes true or false'],
    ['FROM a\nENV a', 'ENV needs a value: a=…'],
    ['FROM a\nENV a=1 b', 'no = in b'],
    ['FROM a\nENV =1', 'no name before ='],
    ['FROM a\nUSER', 'USER needs a value'],
    ['FROM a\nUSER --x y', 'USER has no flag --x'],
    ['FROM a\nSHELL /bin/sh', 'SHELL takes a JSON array'],
    ['FROM a\nRUN', 'RUN needs a command'],
    ['FROM a\nRUN --mount=type=bnd,target=/x y', '--mount has no type bnd, did you mean bind?'],
    ['FROM a\nRUN --mount=type=cache,traget=/x y', 'has no option traget, did you mean target?'],
    ['FROM a\nRUN --mount=type=cache y', 'needs target=…'],
    ['FROM a\nRUN --network=lan y', '--network is one of default, none, host, not lan'],
    ['FROM a\nHEALTHCHECK', 'HEALTHCHECK takes CMD or NONE, not nothing'],
    ['FROM a\nHEALTHCHECK --interval=1x CMD a', '--interval is no duration: 1x'],
    ['FROM a\nHEALTHCHECK --interval=1us CMD a', "--interval can't be below 1ms"],
    ['FROM a\nHEALTHCHECK --retries=-1 CMD a', '--retries is a count'],
    ['FROM a\nONBUILD ONBUILD RUN a', "ONBUILD can't be an ONBUILD trigger"],
    ['FROM a\nONBUILD FROM a', "FROM can't be an ONBUILD trigger"],
    ['FROM a\nONBUILD RUNX', 'unknown instruction RUNX'],
  ])('%j', (text, message) => {
    expect(messageOf(text)).toContain(message);
  });

  test('are named by the file that has them', () => {
    expect(() => parseDockerfile('X', { file: 'docker/app.Dockerfile' })).toThrow(
      'docker/app.Dockerfile:1: unknown instruction X',
    );
  });

  test('in a hundred thousand lines are found quickly', () => {
    const text = `FROM a\nRUN ${'a \\\n'.repeat(100_000)}b`;
    expect(parseDockerfile(text).stages[0]?.instructions).toHaveLength(1);
  });
});
