import type { Dispatcher, Pool, ProxyAgent } from 'undici';

/** Connections to one origin. */
export type MakePool = new (origin: string, options: Pool.Options) => Dispatcher;

type Send = (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>;

/**
 * The two parts of undici that a request needs, loaded at the first one. All of undici has four times as many modules: it
 * blocks the event loop for 70 ms, and keeps 15 MB more. These are paths inside the package, so its version is pinned.
 */
export const undiciPool = async (): Promise<MakePool> =>
  // @ts-expect-error -- undici has types for its main module only
  ((await import('undici/lib/dispatcher/pool.js')) as { readonly default: MakePool }).default;

export const undiciRequest = async (): Promise<Send> =>
  // @ts-expect-error -- as above
  ((await import('undici/lib/api/api-request.js')) as { readonly default: Send }).default;

/** A proxy needs more of undici's parts, which only its main module puts together. */
export const undiciProxyAgent = async (): Promise<typeof ProxyAgent> => (await import('undici')).default.ProxyAgent;
