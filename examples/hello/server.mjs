import { createServer } from 'node:http';
import { hostname } from 'node:os';

const server = createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.end(
    `hello from ${hostname()}, pid ${process.pid}, with ${process.constrainedMemory() / 1024 ** 2} MiB of memory\n`,
  );
});
server.listen(process.env.PORT, () => console.log(`listening on port ${process.env.PORT}`));
process.once('SIGTERM', () => {
  console.log('goodbye');
  server.close();
  server.closeAllConnections();
});
