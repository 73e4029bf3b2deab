export type * from './api.ts';
export type * from './container-spec.ts';
export { openEngine } from './engine.ts';
export type { EngineOptions } from './engine.ts';
export { EngineError, isEngineError } from './errors.ts';
export type { EngineErrorCode } from './errors.ts';
export type * from './inspect.ts';
