import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { text } from '../flags/flag.ts';
import { compileTemplate } from '../format/template/evaluate.ts';
import { print } from '../output.ts';
import { version } from '../version.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** There is no daemon: the engine is part of this program, so both have one version. */
const TEXT = `Client:
 Version:           {{.Client.Version}}
 Node version:      {{.Client.NodeVersion}}
 OS/Arch:           {{.Client.Os}}/{{.Client.Arch}}

Server: none is needed, the engine is in the client
 Engine:
  Version:          {{.Server.Version}}
  OS/Arch:          {{.Server.Os}}/{{.Server.Arch}}
`;

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Show the version information',
  flags: {
    format: text("Format output using a custom template: 'json' or a Go template", { short: 'f' }),
  },
  least: 0,
  most: 0,
  unprivileged: true,
  run: ({ values: { format } }) => {
    const arch = ARCHITECTURES[process.arch] ?? process.arch;
    const common = { Version: version, Os: process.platform, Arch: arch };
    const facts = { Client: { ...common, NodeVersion: process.version }, Server: common };
    const template = format === undefined || format === '' ? TEXT : format === 'json' ? '{{json .}}\n' : `${format}\n`;
    print(compileTemplate(template)(facts));
    return Promise.resolve(0);
  },
});
