import { randomUUID } from 'node:crypto';

import type { RegistryEvent } from '../server/events.ts';

/** The type of the body that tools for docker-registry's notifications read. */
export const ENVELOPE_TYPE = 'application/vnd.docker.distribution.events.v1+json';

/** One event as it is sent. */
export interface EnvelopeEvent {
  /** Its own: the same when it is sent again. */
  readonly id: string;
  readonly timestamp: string;
  readonly action: RegistryEvent['type'];
  readonly target: {
    readonly mediaType?: string;
    readonly digest?: string;
    readonly size?: number;
    readonly length?: number;
    readonly repository: string;
    readonly url?: string;
    readonly tag?: string;
  };
  readonly request: {
    readonly id: string;
    readonly addr?: string;
    readonly host?: string;
    readonly method: string;
    readonly useragent?: string;
  };
  readonly actor: { readonly name?: string };
  readonly source: { readonly addr: string; readonly instanceID: string };
}

type Target = EnvelopeEvent['target'];

function targetsOf(event: RegistryEvent): readonly Target[] {
  const { name: repository } = event;
  if (event.object === 'tag') return [{ repository, tag: event.tag }];
  const { digest } = event;
  if (event.object === 'blob') {
    const mediaType = 'application/octet-stream';
    const url = `/v2/${repository}/blobs/${digest}`;
    if (!('sizeBytes' in event)) return [{ mediaType, digest, repository, url }];
    return [{ mediaType, digest, size: event.sizeBytes, length: event.sizeBytes, repository, url }];
  }
  if (event.type === 'delete') return [{ digest, repository }];
  const { mediaType, sizeBytes: size, tags } = event;
  const url = `/v2/${repository}/manifests/${digest}`;
  const target: Target = { mediaType, digest, size, length: size, repository, url };
  return tags.length === 0 ? [target] : tags.map((tag) => ({ ...target, tag }));
}

/**
 * An event as receivers know it, which is one for each of its tags.
 *
 * @see https://distribution.github.io/distribution/about/notifications/
 */
export function envelopeEvents(event: RegistryEvent, source: EnvelopeEvent['source']): readonly EnvelopeEvent[] {
  const { type: action, atMs, requestId, address, host, method, userAgent, account } = event;
  return targetsOf(event).map((target) => ({
    id: randomUUID(),
    timestamp: new Date(atMs).toISOString(),
    action,
    target,
    request: {
      id: requestId,
      ...(address === undefined ? {} : { addr: address }),
      ...(host === undefined ? {} : { host }),
      method,
      ...(userAgent === undefined ? {} : { useragent: userAgent }),
    },
    actor: account === undefined ? {} : { name: account },
    source,
  }));
}
