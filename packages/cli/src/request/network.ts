import type { ContainerSpec } from '@tsc/engine';

import { list, text, toggle, value } from '../flags/flag.ts';
import { parseExtraHost, parseNameServer, parseNetwork } from '../words/network.ts';
import { parsePublish } from '../words/ports.ts';
import { flagGroup, given, unlessEmpty } from './group.ts';
import type { FlagGroup } from './group.ts';

type NetworkRequest = Pick<
  ContainerSpec,
  'network' | 'ports' | 'hostname' | 'domainname' | 'extraHosts' | 'dns' | 'dnsSearch' | 'dnsOptions'
>;

/** How the container is reached, and what it calls others and itself. */
export const networkGroup: FlagGroup<NetworkRequest & { readonly publishAll: boolean }> = flagGroup(
  {
    'add-host': list('Add a custom host-to-IP mapping (host:ip)', {}, parseExtraHost),
    dns: list('Set custom DNS servers', {}, parseNameServer),
    'dns-option': list('Set DNS options', { aliases: ['dns-opt'] }),
    'dns-search': list('Set custom DNS search domains'),
    domainname: text('Container NIS domain name'),
    hostname: text('Container host name', { short: 'h' }),
    network: value('Connect a container to a network', parseNetwork, { valueName: 'network', aliases: ['net'] }),
    publish: list("Publish a container's port(s) to the host", { short: 'p' }, parsePublish),
    'publish-all': toggle('Publish all exposed ports to random ports', { short: 'P' }),
  },
  (values) => ({
    ...given({
      network: values.network,
      ports: unlessEmpty(values.publish.flat()),
      hostname: values.hostname,
      domainname: values.domainname,
      extraHosts: unlessEmpty(values['add-host']),
      dns: unlessEmpty(values.dns),
      dnsSearch: unlessEmpty(values['dns-search']),
      dnsOptions: unlessEmpty(values['dns-option']),
    }),
    publishAll: values['publish-all'],
  }),
);
