export type * from './api.ts';
export type * from './container-spec.ts';
export type * from './inspect.ts';
