import type { EngineInfo } from '@tsc/engine';

import { defineCommand, withEngine } from '../command.ts';
import type { Command } from '../command.ts';
import { text } from '../flags/flag.ts';
import { binarySize } from '../format/size.ts';
import { compileTemplate } from '../format/template/evaluate.ts';
import { print } from '../output.ts';
import { version } from '../version.ts';

const TEXT = `Client:
 Version:    {{.ClientInfo.Version}}

Server:
 Containers: {{.Containers}}
  Running: {{.ContainersRunning}}
  Paused: {{.ContainersPaused}}
  Stopped: {{.ContainersStopped}}
 Images: {{.Images}}
 Server Version: {{.ServerVersion}}
 Storage Driver: {{.Driver}}
 Cgroup Driver: {{.CgroupDriver}}
 Cgroup Version: {{.CgroupVersion}}
 Cgroup Mode: {{.CgroupMode}}
 Cgroup Controllers: {{join .CgroupControllers " "}}
 Firewall Backend: {{.FirewallBackend.Driver}}
 Security Options:{{range .SecurityOptions}}
  {{.}}{{end}}
 Kernel Version: {{.KernelVersion}}
 Operating System: {{.OperatingSystem}}
 OSType: {{.OSType}}
 Architecture: {{.Architecture}}
 CPUs: {{.NCPU}}
 Total Memory: {{.Memory}}
 Name: {{.Name}}
 Root Dir: {{.DockerRootDir}}
{{- range .Warnings}}
 Fallback: {{.}}{{end}}
`;

export const command: Command = defineCommand({
  usage: '[OPTIONS]',
  summary: 'Display system-wide information',
  flags: {
    format: text("Format output using a custom template: 'json' or a Go template", { short: 'f' }),
  },
  least: 0,
  most: 0,
  run: ({ values: { format }, surroundings }) =>
    withEngine(surroundings, async (engine) => {
      const info = await engine.info();
      if (format === undefined || format === '') {
        print(compileTemplate(TEXT)({ ...dockerInfo(info), Memory: binarySize(info.memoryBytes) }));
      } else print(compileTemplate(format === 'json' ? '{{json .}}\n' : `${format}\n`)(dockerInfo(info)));
      return 0;
    }),
});

/** The engine's facts under the names that Docker's templates know. */
const dockerInfo = (info: EngineInfo): Readonly<Record<string, unknown>> => ({
  Architecture: info.architecture,
  CgroupControllers: info.cgroupControllers,
  CgroupDriver: 'cgroupfs',
  CgroupMode: info.cgroupMode,
  CgroupVersion: info.cgroupMode === 'v2' ? '2' : '1',
  ClientInfo: { Version: version },
  Containers: info.containers,
  ContainersPaused: 0,
  ContainersRunning: info.containersRunning,
  ContainersStopped: info.containersStopped,
  DockerRootDir: info.rootDir,
  Driver: info.storageDriver,
  FirewallBackend: { Driver: info.firewallBackend },
  Images: info.images,
  KernelVersion: info.kernelVersion,
  MemTotal: info.memoryBytes,
  NCPU: info.cpus,
  Name: info.hostname,
  OSType: 'linux',
  OperatingSystem: info.operatingSystem,
  SecurityOptions: info.securityOptions,
  ServerVersion: info.version,
  Warnings: info.fallbacks,
});
