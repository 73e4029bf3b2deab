import type { ContainerSpec } from './container-spec.ts';

/** Where names are asked when the host's own resolver can't be reached from a container. */
const FALLBACK_NAMESERVERS = ['8.8.8.8', '8.8.4.4'];

/** Which lines of /etc/hosts a container gets. `address` is its own, if it has one. */
export function hostsFile(
  spec: ContainerSpec,
  own: { readonly hostname: string; readonly address: string | undefined; readonly gateway: string | undefined },
): string {
  const extra = (spec.extraHosts ?? []).map((entry) => {
    const colon = entry.indexOf(':');
    const address = entry.slice(colon + 1);
    return `${address === 'host-gateway' ? (own.gateway ?? '127.0.0.1') : address}\t${entry.slice(0, colon)}`;
  });
  const names = spec.domainname === undefined ? own.hostname : `${own.hostname}.${spec.domainname} ${own.hostname}`;
  const lines = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'ff00::0\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
    ...extra,
    ...(own.address === undefined ? [] : [`${own.address}\t${names}`]),
  ];
  return `${lines.join('\n')}\n`;
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';

/**
 * The container's resolv.conf: the host's, without name servers on the host's loopback, which is another one inside.
 * A container on the host's network keeps them.
 */
export function resolvConf(spec: ContainerSpec, host: string): string {
  const lines = host.split('\n').map((line) => line.trim());
  const of = (keyword: string): string[] =>
    lines.filter((line) => line.startsWith(`${keyword} `)).map((line) => line.slice(keyword.length + 1).trim());
  const onHost = spec.network === 'host';
  const reachable = of('nameserver').filter((address) => onHost || !isLoopback(address.split('%')[0] ?? ''));
  const servers = spec.dns ?? (reachable.length === 0 ? FALLBACK_NAMESERVERS : reachable);
  const search = spec.dnsSearch ?? of('search').flatMap((names) => names.split(/\s+/));
  const options = spec.dnsOptions ?? of('options').flatMap((names) => names.split(/\s+/));
  return [
    ...servers.map((server) => `nameserver ${server}\n`),
    // `--dns-search .` asks for none.
    ...(search.length === 0 || search.includes('.') ? [] : [`search ${search.join(' ')}\n`]),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}\n`]),
  ].join('');
}
