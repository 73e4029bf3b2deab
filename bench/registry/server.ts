// Our registry, as it is built, in a process of its own; its directory is the argument, its URL the first line.
import { serveRegistry } from '@tsc/registry';

const server = await serveRegistry({
  listen: '127.0.0.1:0',
  rootDir: process.argv[2] ?? '',
  onFailure: (failure) => {
    console.error(failure);
  },
});
console.log(server.url);
