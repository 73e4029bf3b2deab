import { describe, expect, test } from '@jest/globals';
import { parseComposeFile, parseComposeFiles } from './compose-file.ts';
import type { Service } from './model.ts';

const service = (yaml: string, env: Readonly<Record<string, string>> = {}): Service => {
  const indented = yaml.replaceAll('\n', '\n    ');
  const model = parseComposeFile(
    `services:\n  web:\n    image: i\n    ${indented}\nvolumes: { data: }\nnetworks: { back: }\nsecrets: { s: { file: f } }`,
    {
      env: new Map(Object.entries(env)),
    },
  );
  const found = model.services.get('web');
  if (found === undefined) throw new Error('no service');
  return found;
};

describe('parseComposeFile', () => {
  test('writes short forms out', () => {
    expect(service('command: sh -c "a b" c\nenvironment: [A=1, B]\nlabels: { x: 1, y: true }')).toMatchObject({
      command: ['sh', '-c', 'a b', 'c'],
      environment: new Map([
        ['A', '1'],
        ['B', undefined],
      ]),
      labels: new Map([
        ['x', '1'],
        ['y', 'true'],
      ]),
      replicas: 1,
    });
    expect(
      service(
        'ports:\n  - "80"\n  - 8080:80\n  - 127.0.0.1:5000-5001:50-51/udp\n  - "[::1]:1:2"\n  - "9000-9010:90"\n  - { target: 7, published: "70" }',
      ).ports,
    ).toEqual([
      { target: 80, published: undefined, hostAddress: undefined, protocol: 'tcp' },
      { target: 80, published: '8080', hostAddress: undefined, protocol: 'tcp' },
      { target: 50, published: '5000', hostAddress: '127.0.0.1', protocol: 'udp' },
      { target: 51, published: '5001', hostAddress: '127.0.0.1', protocol: 'udp' },
      { target: 2, published: '1', hostAddress: '::1', protocol: 'tcp' },
      { target: 90, published: '9000-9010', hostAddress: undefined, protocol: 'tcp' },
      { target: 7, published: '70', hostAddress: undefined, protocol: 'tcp' },
    ]);
    expect(
      service('volumes:\n  - /anon\n  - data:/d:ro\n  - ./src:/src\n  - { type: tmpfs, target: /t }').volumes,
    ).toEqual([
      { type: 'volume', source: undefined, target: '/anon', readOnly: false },
      { type: 'volume', source: 'data', target: '/d', readOnly: true },
      { type: 'bind', source: './src', target: '/src', readOnly: false },
      { type: 'tmpfs', source: undefined, target: '/t', readOnly: false },
    ]);
  });

  test('reads units, healthchecks, limits and grants', () => {
    const yaml = `mem_limit: 64m
stop_grace_period: 1m30s
healthcheck: { test: curl localhost, interval: 500ms, retries: 3 }
deploy: { replicas: 3, resources: { limits: { cpus: "0.5", pids: 10 } } }
secrets: [s, { source: s, target: t, mode: 0440, uid: "5" }]
build: { context: ., args: { V: 1 } }
networks: { back: { aliases: [db] } }
ulimits: { nofile: 10, nproc: { soft: 1, hard: 2 } }
extra_hosts: { a: 1.2.3.4 }`;
    expect(service(yaml)).toMatchObject({
      resources: { memoryMaxBytes: 64 * 1024 ** 2, cpus: 0.5, pidsMax: 10 },
      stopGracePeriodMs: 90_000,
      healthcheck: { test: ['CMD-SHELL', 'curl localhost'], intervalMs: 500, retries: 3 },
      replicas: 3,
      secrets: [{ source: 's' }, { source: 's', target: 't', mode: 0o440, uid: '5' }],
      build: { context: '.', args: new Map([['V', '1']]) },
      networks: new Map([['back', { aliases: ['db'] }]]),
      ulimits: new Map([
        ['nofile', { soft: 10, hard: 10 }],
        ['nproc', { soft: 1, hard: 2 }],
      ]),
      extraHosts: ['a:1.2.3.4'],
    });
  });

  test('puts variables in, and converts what they make', () => {
    const found = service('hostname: ${H:-h}\nread_only: ${RO}\nscale: $N\nenvironment: { P: $$x }', {
      RO: 'true',
      N: '2',
    });
    expect(found).toMatchObject({ hostname: 'h', readOnly: true, replicas: 2, environment: new Map([['P', '$x']]) });
    expect(() => service('hostname: ${H:?give H}')).toThrow(
      'compose.yaml:4: services.web.hostname: cannot interpolate "${H:?give H}": required variable H is not set: give H',
    );
  });

  test('anchors and merge keys', () => {
    const model = parseComposeFile(
      'x-base: &base { image: i, labels: { a: 1 } }\nservices:\n  a: { <<: *base, user: u }\n  b: { <<: [*base], image: j }',
    );
    expect([...model.services.values()].map(({ image, user, labels }) => [image, user, labels.get('a')])).toEqual([
      ['i', 'u', '1'],
      ['j', undefined, '1'],
    ]);
  });

  test('knows no inherited names', () => {
    const found = service('labels: { __proto__: p, constructor: c }\nenvironment: { __proto__: e }');
    expect([...found.labels]).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
    ]);
    expect([...found.environment]).toEqual([['__proto__', 'e']]);
    expect(Object.hasOwn(Object.prototype, 'p')).toBe(false);
  });

  test.each([
    ['services:\n  a:\n    imgae: x', 'compose.yaml:3: services.a.imgae: unknown key imgae, did you mean image?'],
    ['services:\n  a:\n    image: x\n    pid: host', 'compose.yaml:4: services.a.pid: pid is not supported yet'],
    ['services: { a: { image: [x] } }', 'services.a.image: want a text, not a list'],
    ['services: { a: {} }', 'services.a: a service needs an image, or a build'],
    ['services: { a: { image: x, ports: [x] } }', 'services.a.ports[0]: x is no port'],
    ['services: { a: { image: x, ports: ["1-3:1-2"] } }', 'the ranges differ in length'],
    ['services: { a: { image: x, mem_limit: big } }', 'want a size like 64m, not "big"'],
    ['services: { "../a": { image: x } }', '"../a" is no name'],
    ['name: A B', 'A B is no project name'],
    [
      'services: { a: { image: x, volumes: ["dat:/x"] } }\nvolumes: { data: }',
      'services.a: there is no volume dat, did you mean data?',
    ],
    ['services: { a: { image: x, depends_on: [b] } }', 'there is no service b'],
    ['services: { a: { image: x, network_mode: host, networks: [default] } }', 'exclude each other'],
    ['secrets: { s: { file: a, content: b } }', 'want one of file, environment, content'],
    ['services: [', 'compose.yaml:1:'],
    ['a: 1\na: 2', 'compose.yaml:2:'],
    ['services: !!js/function x', 'compose.yaml:1:'],
    ['services: *nothing', 'compose.yaml:1:'],
    ['- a', 'want a map, not a list'],
    ['a: 1\n---\nb: 2', 'more than one YAML document'],
  ])('refuses %j', (yaml, message) => {
    expect(() => parseComposeFile(yaml)).toThrow(message);
  });

  test('a billion laughs end early', () => {
    const levels = Array.from(
      { length: 30 },
      (_, level) => `x-${String(level + 1)}: &a${String(level + 1)} [${`*a${String(level)},`.repeat(9)}]`,
    );
    const started = performance.now();
    expect(() => parseComposeFile(`x-0: &a0 [lol]\n${levels.join('\n')}`)).toThrow('over 100000 values');
    expect(() => parseComposeFile('x-a: &a [*a]')).toThrow('contains itself');
    expect(() => parseComposeFile(`x-a: ${'['.repeat(200)}${']'.repeat(200)}`)).toThrow('nested over 60 deep');
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('parseComposeFiles', () => {
  const merged = (base: string, over: string): Service | undefined =>
    parseComposeFiles([
      { text: `services: { a: { image: x, ${base} } }`, file: 'a.yaml' },
      { text: `services: { a: { ${over} } }`, file: 'b.yaml' },
    ]).services.get('a');

  test('appends lists, merges maps, replaces values and commands', () => {
    expect(
      merged(
        'dns: [a], command: [x, y], environment: [A=1, B=2], labels: { l: 1 }',
        'dns: [b], command: [z], environment: { B: 3 }, labels: [m=2], image: y',
      ),
    ).toMatchObject({
      dns: ['a', 'b'],
      command: ['z'],
      environment: new Map([
        ['A', '1'],
        ['B', '3'],
      ]),
      labels: new Map([
        ['l', '1'],
        ['m', '2'],
      ]),
      image: 'y',
    });
  });

  test('takes a resource named twice from the later file', () => {
    expect(
      merged('volumes: [/a:/x, /b:/y], ports: ["80:80"]', 'volumes: [/c:/x], ports: ["80:80", "81:81"]'),
    ).toMatchObject({
      volumes: [
        { source: '/c', target: '/x' },
        { source: '/b', target: '/y' },
      ],
      ports: [{ target: 80 }, { target: 81 }],
    });
    expect(merged('depends_on: []', 'scale: 2')?.replicas).toBe(2);
  });

  test('obeys !reset and !override', () => {
    expect(
      merged('ports: ["80:80"], dns: [a], user: u', 'ports: !override ["1:1"], dns: !reset [], user: !reset null'),
    ).toMatchObject({
      ports: [{ target: 1 }],
      dns: [],
      user: undefined,
    });
  });

  test('says which file is wrong', () => {
    expect(() => merged('user: u', 'usr: v')).toThrow('b.yaml:1: services.a.usr: unknown key usr, did you mean user?');
  });
});
