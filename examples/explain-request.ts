import { errorBody, isRegistryError, parseRoute } from '@tsc/registry';

// What a registry makes of a request line, before it looks at anything that it stores.
for (const [method, url] of [
  ['GET', '/v2/library/alpine/manifests/3.22'],
  ['POST', '/v2/app/blobs/uploads/?digest-algorithm=sha512'],
  ['GET', '/v2/%2e%2e/etc/tags/list'],
] as const) {
  const route = parseRoute(method, url);
  const answer = isRegistryError(route) ? { status: route.status, ...errorBody(route) } : route;
  process.stdout.write(`${method} ${url}\n  ${JSON.stringify(answer)}\n`);
}
