import type { Route } from '../routes.ts';
import type { Action, Need } from './access.ts';

const repository = (name: string, ...actions: readonly Action[]): readonly Need[] => [
  { resource: 'repository', name, actions },
];

/**
 * What a client must be allowed to do for a request. A mount can go without the repository that it comes from: without the
 * right to read there it becomes an upload, as the specification wants it.
 */
export function needsOf(route: Route): readonly Need[] {
  switch (route.type) {
    case 'version':
      return [{ resource: 'registry' }];
    case 'catalog':
      return [{ resource: 'catalog' }];
    case 'blob-read':
    case 'manifest-read':
    case 'tags':
    case 'referrers':
      return repository(route.name, 'pull');
    case 'blob-delete':
    case 'manifest-delete':
      return repository(route.name, 'delete');
    case 'upload-start':
    case 'upload-whole':
    case 'upload-chunk':
    case 'upload-finish':
    case 'upload-status':
    case 'upload-cancel':
    case 'manifest-write':
      // Docker asks its token server for both at once, and clients look before they push.
      return repository(route.name, 'pull', 'push');
    case 'mount':
      return [...repository(route.name, 'pull', 'push'), ...mountedFrom(route.from)];
  }
}

const mountedFrom = (name: string | undefined): readonly Need[] =>
  name === undefined ? [] : [{ resource: 'repository', name, actions: ['pull'], optional: true }];
