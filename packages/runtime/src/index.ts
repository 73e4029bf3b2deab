export {
  allCapabilities,
  capabilityMask,
  defaultCapabilities,
  parseCapability,
  resolveCapabilities,
} from './capabilities.ts';
export type { Capability, CapabilityRequest } from './capabilities.ts';
export { InheritedDescriptors, execInContainer, startContainer } from './container.ts';
export type { ExecOptions, KeptProcess, StartOptions } from './container.ts';
export { RuntimeError, isRuntimeError } from './errors.ts';
export type { RuntimeErrorCode } from './errors.ts';
export { MonitorConnection, connectMonitor } from './monitor.ts';
export type { ExitStatus, StartReport } from './monitor.ts';
export type * from './oci-spec.ts';
export { compileExec } from './program/exec.ts';
export type { ExecContext } from './program/exec.ts';
export { compileStart } from './program/start.ts';
export type { CgroupEntry, StartContext } from './program/start.ts';
export type { CgroupMount, SourceKind } from './program/mounts.ts';
export { parseSignal } from './signal.ts';
export { defaultSpec, maskedPaths, readonlyPaths } from './default-spec.ts';
export type { DefaultSpecOptions } from './default-spec.ts';
export { formatExactJson, parseExactJson } from './exact-json.ts';
export {
  compileSeccomp,
  defaultSeccompProfile,
  parseDockerProfile,
  seccompArch,
  seccompFlags,
} from './seccomp/index.ts';
export type { SeccompArch } from './seccomp/index.ts';
export { resolveUser } from './user.ts';
export type { ResolvedUser } from './user.ts';
