import { describe, expect, test } from '@jest/globals';
import { parseDockerfile } from './dockerfile.ts';
import { planStages } from './plan.ts';
import type { BuildPlan, PlanOptions } from './plan.ts';

const plan = (text: string, options: PlanOptions = {}): BuildPlan =>
  planStages(parseDockerfile(text), { platform: 'linux/amd64', buildPlatform: 'linux/amd64', ...options });

const outline = ({ nodes }: BuildPlan): readonly string[] =>
  nodes.map((node) => {
    const inputs = node.inputs.join(',');
    if (node.type === 'base') return node.base.type === 'scratch' ? 'scratch' : node.base.reference;
    return node.type === 'stage' ? `stage ${node.stage} on ${inputs}` : `${node.instruction.type} on ${inputs}`;
  });

describe('planStages', () => {
  test('takes what the target needs, in an order that works', () => {
    const text = `
FROM alpine AS build
RUN make
FROM debian AS unused
RUN false
FROM scratch AS out
COPY --from=build /a /a
COPY --from=busybox /b /b
USER 1`;
    expect(outline(plan(text))).toEqual([
      'alpine',
      'stage 0 on 0',
      'run on 1',
      'scratch',
      'stage 2 on 3',
      'copy on 4,2',
      'busybox',
      'copy on 5,6',
      'user on 7',
    ]);
    expect(outline(plan(text, { target: 'BUILD' }))).toEqual(['alpine', 'stage 0 on 0', 'run on 1']);
    expect(outline(plan(text, { target: '1' }))).toEqual(['debian', 'stage 1 on 0', 'run on 1']);
  });

  test('names resolve to earlier stages; a base is shared', () => {
    const result = plan('FROM a AS a\nUSER x\nFROM a\nCOPY --from=0 /x /y\nRUN --mount=from=a,target=/m z');
    expect(outline(result)).toEqual(['a', 'stage 0 on 0', 'user on 1', 'stage 1 on 2', 'copy on 3,2', 'run on 4,2']);
    expect(outline(plan('FROM x AS a\nFROM x AS b\nCOPY --from=a / /'))).toEqual([
      'x',
      'stage 0 on 0',
      'stage 1 on 0',
      'copy on 2,1',
    ]);
  });

  test('global arguments, given and predefined', () => {
    const text = 'ARG V=1\nARG TAG=${V}-slim\nFROM --platform=$BUILDPLATFORM node:$TAG AS b-$TARGETARCH';
    expect(() => plan(text)).toThrow('is no stage name');
    const from = 'ARG V=1\nARG TAG=${V}-slim\nFROM --platform=$TARGETPLATFORM node:$TAG';
    expect(plan(from, { buildArgs: new Map([['V', '2']]), platform: 'arm/v7' }).nodes[0]).toMatchObject({
      base: { reference: 'node:2-slim' },
      platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
    });
    expect(plan('FROM a', { platform: 'linux/aarch64' }).platform.architecture).toBe('arm64');
  });

  test('knows whether the context is read', () => {
    expect(plan('FROM scratch\nCOPY <<E /x\nE').usesContext).toBe(false);
    expect(plan('FROM scratch\nCOPY x /x').usesContext).toBe(true);
    expect(plan('FROM scratch\nRUN --mount=target=/x y').usesContext).toBe(true);
  });

  test('a build argument that nothing declares is a warning', () => {
    const text = 'FROM a\nARG VERSION\nFROM b';
    expect(
      plan(text, {
        buildArgs: new Map([
          ['VERSOIN', '1'],
          ['VERSION', '2'],
          ['http_proxy', 'x'],
        ]),
      }).warnings,
    ).toEqual(['no ARG takes up the build argument VERSOIN, did you mean VERSION?']);
  });

  test.each([
    ['FROM a AS build', { target: 'biuld' }, 'Dockerfile: no stage biuld, did you mean build?'],
    ['FROM a', { target: 'x' }, 'it names no stages'],
    ['FROM $X', {}, 'Dockerfile:1: FROM $X names no image, X has no value'],
    ['FROM ${X:?missing}', {}, 'Dockerfile:1: cannot expand ${X:?missing}: X: missing'],
    ['FROM a\nCOPY --from=3 a b', {}, 'Dockerfile:2: no stage 3, there are 1'],
    ['FROM a\nCOPY --from=$X a b', {}, "a variable can't name a source"],
    ['FROM a AS x\nCOPY --from=y a b\nFROM x AS y', {}, 'needs itself'],
    ['FROM a AS x\nCOPY --from=x a b', {}, 'Dockerfile:1: stage x needs itself'],
    ['FROM --platform=a/b/c/d a', {}, 'a/b/c/d is no platform'],
  ])('%j %j', (text, options, message) => {
    expect(() => plan(text, options)).toThrow(message);
  });

  test('a mistake in a stage that is not needed is no error', () => {
    expect(plan('FROM $UNSET AS x\nFROM a').nodes).toHaveLength(2);
  });

  test('obeys # check= and # syntax=', () => {
    const body = 'FROM a\nMAINTAINER me\nENV a b\n';
    expect(plan(body).warnings).toHaveLength(2);
    expect(plan(`# check=skip=MaintainerDeprecated\n${body}`).warnings).toEqual(['line 4: ENV key=value, with =']);
    expect(() => plan(`# check=error=true\n${body}`)).toThrow('Dockerfile:3: MaintainerDeprecated');
    expect(plan(`# check=skip=all;error=true\n${body}`).warnings).toEqual([]);
    expect(plan(`# syntax=docker.io/docker/dockerfile:1.7-labs\n${body}`).nodes).toHaveLength(4);
    expect(() => plan(`# syntax=evil/frontend\n${body}`)).toThrow(
      'Dockerfile:1: the syntax evil/frontend is not built in',
    );
  });

  test('thousands of chained stages need no stack', () => {
    const chain = Array.from({ length: 5000 }, (_, index) => `FROM s${index} AS s${index + 1}`);
    expect(plan(`FROM scratch AS s0\n${chain.join('\n')}`).nodes).toHaveLength(5002);
  });
});
