import type { AccessControl, Need } from '../access/access.ts';
import { RegistryError } from '../errors.ts';
import { sendBytes } from '../server/answer.ts';
import type { Endpoint, EndpointExchange } from '../server/endpoint.ts';
import { isLoopback } from './address.ts';
import type { Metrics } from './metrics.ts';
import { checkReads } from './reading.ts';

export interface MetricsEndpointOptions {
  /** Default `/metrics`. */
  readonly path?: string | undefined;
  /**
   * What a client must be allowed to do to read them; `[]` opens them to everybody. Default: programs on this machine may,
   * and with `access` whoever has an account.
   */
  readonly needs?: readonly Need[] | undefined;
  /** Tells accounts, for the default. */
  readonly access?: AccessControl | undefined;
}

/** Serves metrics beside `/v2/`. */
export function metricsEndpoint(metrics: Metrics, options: MetricsEndpointOptions = {}): Endpoint {
  const { path = '/metrics', needs, access } = options;
  return {
    path,
    needs: needs ?? [],
    handle: async (exchange) => {
      checkReads(exchange.request);
      if (needs === undefined) await checkKnown(exchange, access);
      const bytes = Buffer.from(await metrics.text());
      sendBytes(exchange, bytes, { 'Content-Type': metrics.contentType, 'Cache-Control': 'no-store' });
    },
  };
}

async function checkKnown({ request, address }: EndpointExchange, access: AccessControl | undefined): Promise<void> {
  if (isLoopback(request, address)) return;
  const identity = await access?.authorize(request, [{ resource: 'registry' }]);
  if (identity?.account === undefined) throw new RegistryError('DENIED', 'metrics are for accounts, and for loopback');
}
