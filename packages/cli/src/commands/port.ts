import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { failed } from '../errors.ts';
import { printLine } from '../output.ts';
import { parseExposed } from '../words/ports.ts';

export const command: Command = defineCommand({
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  summary: 'List port mappings or a specific mapping for the container',
  aliases: ['tsc container port', 'tsc port'],
  flags: {},
  least: 1,
  most: 2,
  run: ({ positional: [reference = '', wanted], surroundings }) =>
    withEngine(surroundings, (engine) => {
      const ports = Object.entries(engine.container(reference).inspect().NetworkSettings.Ports);
      const lines = wanted === undefined ? allMappings(ports) : oneMapping(ports, wanted, reference);
      for (const line of lines) printLine(line);
      return Promise.resolve(0);
    }),
});

type Binding = { readonly HostIp: string; readonly HostPort: string };
type PortEntries = readonly (readonly [string, readonly Binding[] | null])[];

export const spellBinding = ({ HostIp, HostPort }: Binding): string =>
  `${HostIp.includes(':') ? `[${HostIp}]` : HostIp}:${HostPort}`;

export const allMappings = (ports: PortEntries): readonly string[] =>
  ports
    .flatMap(([port, bindings]) => (bindings ?? []).map((binding) => `${port} -> ${spellBinding(binding)}`))
    .sort((a, b) => Number.parseInt(a) - Number.parseInt(b));

export function oneMapping(ports: PortEntries, wanted: string, reference: string): readonly string[] {
  const [exposed] = parseExposed(wanted);
  const key = `${exposed?.port ?? ''}/${exposed?.protocol ?? ''}`;
  const bindings = ports.find(([port]) => port === key)?.[1] ?? [];
  if (bindings.length === 0) throw failed(`no public port '${wanted}' published for ${reference}`);
  return bindings.map(spellBinding);
}
