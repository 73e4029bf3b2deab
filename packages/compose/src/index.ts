export { parseComposeFile, parseComposeFiles } from './compose-file.ts';
export type { ComposeSource, ParseComposeOptions } from './compose-file.ts';
export { parseEnvFile } from './env-file.ts';
export type { EnvFileOptions } from './env-file.ts';
export { ComposeError, isComposeError } from './errors.ts';
export type { ComposeErrorCode, ComposeErrorDetails } from './errors.ts';
export { interpolate } from './interpolation.ts';
export type { Environment, InterpolateOptions } from './interpolation.ts';
export type {
  Build,
  ComposeModel,
  Dependency,
  DependencyCondition,
  EnvFile,
  FileGrant,
  FileObject,
  Healthcheck,
  Logging,
  Network,
  NetworkAttachment,
  Port,
  Resources,
  Service,
  Subnet,
  Volume,
  VolumeMount,
} from './model.ts';
export { configHash, planDown, planUp, startOrder } from './plan.ts';
export type { ComposeStep, ObservedContainer, ObservedProject, PlanUpOptions } from './plan.ts';
