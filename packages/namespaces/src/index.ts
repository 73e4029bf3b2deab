export { NamespaceError, isNamespaceError } from './errors.ts';
export type { NamespaceErrorCode, NamespaceErrorDetails } from './errors.ts';
export { listNamespaces } from './list.ts';
export type { ListOptions, ListedNamespace } from './list.ts';
export { NamespaceHandle, namespaceFlags, namespaceTypes, openNamespace } from './open.ts';
export type { NamespaceType } from './open.ts';
export { pinNamespace, unpinNamespace } from './pin.ts';
