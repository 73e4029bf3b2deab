import { createHash } from 'node:crypto';
import { ComposeError } from './errors.ts';
import type { ComposeModel, DependencyCondition, Service } from './model.ts';

/** What is there already, as the engine's labels tell it. */
export interface ObservedProject {
  readonly containers: readonly ObservedContainer[];
  /** Names as the engine knows them. */
  readonly networks: ReadonlySet<string>;
  readonly volumes: ReadonlySet<string>;
}

export interface ObservedContainer {
  readonly id: string;
  readonly service: string;
  /** From 1: the `n` of `project-service-n`. */
  readonly number: number;
  readonly running: boolean;
  /** {@link configHash} of the service that it was made from. */
  readonly configHash: string;
}

export interface PlanUpOptions {
  readonly project: string;
  /** Starts only these and what they depend on; none: every service without a profile. */
  readonly services?: readonly string[] | undefined;
  readonly profiles?: readonly string[] | undefined;
  readonly removeOrphans?: boolean | undefined;
  readonly forceRecreate?: boolean | undefined;
}

/** One effect on the engine. */
export type ComposeStep =
  | { readonly type: 'create-network'; readonly name: string; readonly network: string }
  | { readonly type: 'create-volume'; readonly name: string; readonly volume: string }
  | { readonly type: 'provide-image'; readonly service: string }
  | { readonly type: 'stop-container'; readonly id: string; readonly service: string }
  | { readonly type: 'remove-container'; readonly id: string; readonly service: string }
  | {
      readonly type: 'wait';
      readonly service: string;
      readonly condition: DependencyCondition;
      readonly required: boolean;
    }
  | {
      readonly type: 'create-container';
      readonly service: string;
      readonly number: number;
      readonly name: string;
      readonly configHash: string;
      /** The container that it takes the place of, whose anonymous volumes it gets. */
      readonly replaces: string | undefined;
    }
  /** `id` is undefined for the container that a `create-container` before it made. */
  | {
      readonly type: 'start-container';
      readonly service: string;
      readonly number: number;
      readonly id: string | undefined;
    };

/**
 * The steps that bring a project up, each after those that it needs. Pure: the same model and observation make the same plan,
 * and a project that is as it should be makes an empty one.
 *
 * @throws {@link ComposeError} `COMPOSE_CYCLE`, `COMPOSE_REFERENCE`: no such service
 */
export function planUp(model: ComposeModel, observed: ObservedProject, options: PlanUpOptions): readonly ComposeStep[] {
  const order = startOrder(model, selectServices(model, options));
  const services = order.map((name) => model.services.get(name)).filter((service) => service !== undefined);
  const orphans = observed.containers.filter(({ service }) => !model.services.has(service));
  return [
    ...(options.removeOrphans === true ? orphans.flatMap(removal) : []),
    ...resourceSteps(model, services, { observed, project: options.project }),
    ...services.flatMap((service) => serviceSteps(service, { order, observed, options })),
  ];
}

/**
 * The steps that take a project down: what depends on others goes first.
 *
 * @throws {@link ComposeError} `COMPOSE_CYCLE`
 */
export function planDown(model: ComposeModel, observed: ObservedProject): readonly ComposeStep[] {
  const order = startOrder(model, [...model.services.keys()]);
  const rank = (container: ObservedContainer): number => order.indexOf(container.service);
  return [...observed.containers].sort((a, b) => rank(b) - rank(a) || b.number - a.number).flatMap(removal);
}

const removal = ({ id, service, running }: ObservedContainer): readonly ComposeStep[] => [
  ...(running ? [{ type: 'stop-container', id, service } as const] : []),
  { type: 'remove-container', id, service },
];

/** The named services and all that they depend on; or those whose profiles are on. */
function selectServices(model: ComposeModel, { services = [], profiles = [] }: PlanUpOptions): readonly string[] {
  for (const name of services) {
    if (!model.services.has(name)) throw new ComposeError('COMPOSE_REFERENCE', `no such service: ${name}`);
  }
  if (services.length > 0) return services;
  const enabled = (service: Service): boolean =>
    service.profiles.length === 0 || profiles.includes('*') || service.profiles.some((name) => profiles.includes(name));
  return [...model.services.values()].filter((service) => enabled(service)).map((service) => service.name);
}

/**
 * Services in an order in which each comes after those it depends on; the file's order otherwise.
 *
 * @throws {@link ComposeError} `COMPOSE_CYCLE`: with the cycle written out
 */
export function startOrder(model: ComposeModel, selected: readonly string[]): readonly string[] {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): void => {
    const service = model.services.get(name);
    if (service === undefined || done.has(name)) return;
    if (path.includes(name)) {
      const cycle = [...path.slice(path.indexOf(name)), name].join(' → ');
      throw new ComposeError('COMPOSE_CYCLE', `services depend on each other: ${cycle}`);
    }
    path.push(name);
    for (const dependency of service.dependsOn.keys()) visit(dependency);
    path.pop();
    done.add(name);
  };
  for (const name of selected) visit(name);
  return [...done];
}

function resourceSteps(
  model: ComposeModel,
  services: readonly Service[],
  { observed, project }: { readonly observed: ObservedProject; readonly project: string },
): readonly ComposeStep[] {
  const networks = new Set(services.flatMap((service) => [...service.networks.keys()]));
  const volumes = new Set(
    services.flatMap((service) => service.volumes.flatMap((mount) => (mount.type === 'volume' ? [mount.source] : []))),
  );
  const steps: ComposeStep[] = [];
  for (const network of networks) {
    const definition = model.networks.get(network);
    const name = definition?.name ?? `${project}_${network}`;
    if (definition?.external !== true && !observed.networks.has(name))
      steps.push({ type: 'create-network', name, network });
  }
  for (const volume of volumes) {
    const definition = volume === undefined ? undefined : model.volumes.get(volume);
    if (volume === undefined || definition === undefined || definition.external) continue;
    const name = definition.name ?? `${project}_${volume}`;
    if (!observed.volumes.has(name)) steps.push({ type: 'create-volume', name, volume });
  }
  return steps;
}

interface ServiceScope {
  readonly order: readonly string[];
  readonly observed: ObservedProject;
  readonly options: PlanUpOptions;
}

function serviceSteps(service: Service, { order, observed, options }: ServiceScope): readonly ComposeStep[] {
  const hash = configHash(service);
  const present = observed.containers.filter((container) => container.service === service.name);
  const changes: ComposeStep[] = [];
  for (let number = 1; number <= service.replicas; number += 1) {
    const container = present.find((candidate) => candidate.number === number);
    changes.push(...containerSteps(service, { container, number, hash, options }));
  }
  const surplus = present.filter(({ number }) => number > service.replicas).flatMap(removal);
  const creates = changes.some(({ type }) => type === 'create-container');
  const starts = changes.some(({ type }) => type === 'start-container');
  return [
    ...(creates ? [{ type: 'provide-image', service: service.name } as const] : []),
    ...(starts ? waits(service, order) : []),
    ...surplus,
    ...changes,
  ];
}

const waits = (service: Service, order: readonly string[]): readonly ComposeStep[] =>
  [...service.dependsOn]
    .filter(([name]) => order.includes(name))
    .map(([name, { condition, required }]) => ({ type: 'wait', service: name, condition, required }));

function containerSteps(
  service: Service,
  {
    container,
    number,
    hash,
    options,
  }: {
    readonly container: ObservedContainer | undefined;
    readonly number: number;
    readonly hash: string;
    readonly options: PlanUpOptions;
  },
): readonly ComposeStep[] {
  const current = container !== undefined && container.configHash === hash && options.forceRecreate !== true;
  if (current) {
    if (container.running) return [];
    return [{ type: 'start-container', service: service.name, number, id: container.id }];
  }
  const name = service.containerName ?? `${options.project}-${service.name}-${String(number)}`;
  return [
    ...(container?.running === true
      ? [{ type: 'stop-container', id: container.id, service: service.name } as const]
      : []),
    { type: 'create-container', service: service.name, number, name, configHash: hash, replaces: container?.id },
    ...(container === undefined
      ? []
      : [{ type: 'remove-container', id: container.id, service: service.name } as const]),
    { type: 'start-container', service: service.name, number, id: undefined },
  ];
}

/** A hash of all of a service that a container is made from; how many of them there are is not part of it. */
export function configHash(service: Service): string {
  const text = JSON.stringify(
    { ...service, replicas: undefined, profiles: undefined, dependsOn: undefined },
    (_, value: unknown) =>
      value instanceof Map ? { map: [...value].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)) } : value,
  );
  return createHash('sha256').update(text).digest('hex');
}
