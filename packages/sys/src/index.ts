export { hasCode, isSysError } from './errors.ts';
export type { SysError } from './errors.ts';
export * from './file.ts';
export * from './mount.ts';
export * from './process.ts';
export * from './socket.ts';
export * from './terminal.ts';
