import { describe, expect, test } from '@jest/globals';
import { parseComposeFile } from './compose-file.ts';
import type { ComposeModel } from './model.ts';
import { configHash, planDown, planUp, startOrder } from './plan.ts';
import type { ComposeStep, ObservedContainer, ObservedProject } from './plan.ts';

const NOTHING: ObservedProject = { containers: [], networks: new Set(), volumes: new Set() };

const model = parseComposeFile(`
services:
  web: { image: w, depends_on: { db: { condition: service_healthy } }, volumes: [data:/d] }
  db: { image: d, scale: 2 }
  debug: { image: x, profiles: [tools], depends_on: [web] }
volumes: { data: , old: { external: true } }
`);

const show = (steps: readonly ComposeStep[]): readonly string[] =>
  steps.map((step) => {
    if (step.type === 'create-network' || step.type === 'create-volume') return `${step.type} ${step.name}`;
    if (step.type === 'create-container')
      return `create ${step.name}${step.replaces === undefined ? '' : ` for ${step.replaces}`}`;
    if (step.type === 'start-container') return `start ${step.service} ${String(step.number)}`;
    if (step.type === 'wait') return `wait ${step.service} ${step.condition}`;
    return 'id' in step ? `${step.type} ${step.id}` : `${step.type} ${step.service}`;
  });

const hashOf = (project: ComposeModel, name: string): string => {
  const service = project.services.get(name);
  if (service === undefined) throw new Error(name);
  return configHash(service);
};

const container = (service: string, number: number, more: Partial<ObservedContainer> = {}): ObservedContainer => ({
  id: `${service}${String(number)}`,
  service,
  number,
  running: true,
  configHash: model.services.has(service) ? hashOf(model, service) : '',
  ...more,
});

describe('planUp', () => {
  test('starts from nothing, dependencies first', () => {
    expect(show(planUp(model, NOTHING, { project: 'p' }))).toEqual([
      'create-network p_default',
      'create-volume p_data',
      'provide-image db',
      'create p-db-1',
      'start db 1',
      'create p-db-2',
      'start db 2',
      'provide-image web',
      'wait db service_healthy',
      'create p-web-1',
      'start web 1',
    ]);
  });

  const up: ObservedProject = {
    containers: [container('db', 1), container('db', 2), container('web', 1)],
    networks: new Set(['p_default']),
    volumes: new Set(['p_data']),
  };

  test('does nothing when all is as it should be', () => {
    expect(planUp(model, up, { project: 'p' })).toEqual([]);
  });

  test('starts what has stopped, recreates what has changed, removes what is too much', () => {
    const containers = [
      container('db', 1, { running: false }),
      container('db', 2),
      container('db', 3),
      container('web', 1, { configHash: 'old' }),
    ];
    expect(show(planUp(model, { ...up, containers }, { project: 'p' }))).toEqual([
      'stop-container db3',
      'remove-container db3',
      'start db 1',
      'provide-image web',
      'wait db service_healthy',
      'stop-container web1',
      'create p-web-1 for web1',
      'remove-container web1',
      'start web 1',
    ]);
  });

  test('leaves orphans unless told', () => {
    const containers = [...up.containers, container('gone', 1)];
    expect(planUp(model, { ...up, containers }, { project: 'p' })).toEqual([]);
    expect(show(planUp(model, { ...up, containers }, { project: 'p', removeOrphans: true }))).toEqual([
      'stop-container gone1',
      'remove-container gone1',
    ]);
  });

  test('selects by name, with what it needs, and by profile', () => {
    const started = (options: Parameters<typeof planUp>[2]): readonly string[] =>
      show(planUp(model, NOTHING, options)).filter((step) => step.startsWith('start'));
    expect(started({ project: 'p', services: ['db'] })).toEqual(['start db 1', 'start db 2']);
    expect(started({ project: 'p', services: ['debug'] })).toEqual([
      'start db 1',
      'start db 2',
      'start web 1',
      'start debug 1',
    ]);
    expect(started({ project: 'p', profiles: ['tools'] })).toHaveLength(4);
    expect(() => planUp(model, NOTHING, { project: 'p', services: ['no'] })).toThrow('no such service: no');
  });
});

test('planDown takes dependents down first', () => {
  const containers = [container('db', 1), container('web', 1), container('db', 2, { running: false })];
  expect(show(planDown(model, { ...NOTHING, containers }))).toEqual([
    'stop-container web1',
    'remove-container web1',
    'remove-container db2',
    'stop-container db1',
    'remove-container db1',
  ]);
});

test('a cycle is written out', () => {
  const cyclic = parseComposeFile(
    'services: { a: { image: x, depends_on: [b] }, b: { image: x, depends_on: [c] }, c: { image: x, depends_on: [b] } }',
  );
  expect(() => startOrder(cyclic, ['a'])).toThrow('services depend on each other: b → c → b');
});

test('configHash follows what a container is made from, in any order', () => {
  const hash = (yaml: string): string => hashOf(parseComposeFile(`services: { web: { image: i, ${yaml} } }`), 'web');
  expect(hash('environment: { A: 1, B: 2 }')).toBe(hash('environment: [B=2, A=1]'));
  expect(hash('scale: 2')).toBe(hash('scale: 3'));
  expect(hash('environment: { A: 1 }')).not.toBe(hash('environment: { A: 2 }'));
});
