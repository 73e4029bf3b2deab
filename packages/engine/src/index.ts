export type * from './api.ts';
export type * from './container-spec.ts';
export type { ContainerUsage, DiskUsage, VolumeUsage } from './disk-usage.ts';
export { openEngine } from './engine.ts';
export type { EngineOptions } from './engine.ts';
export { EngineError, isEngineError } from './errors.ts';
export type { EngineErrorCode } from './errors.ts';
export type * from './inspect.ts';
