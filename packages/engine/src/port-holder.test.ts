import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { expect, it } from '@jest/globals';

import { isHeldByStranger } from './port-holder.ts';

it('a port is a stranger’s as long as a program that is no monitor listens on it', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: hostPort } = server.address() as AddressInfo;
  const port = { protocol: 'tcp', containerPort: 80, hostPort, hostAddress: '127.0.0.1' } as const;
  expect(isHeldByStranger(port)).toBe(true);
  server.close();
  await once(server, 'close');
  expect(isHeldByStranger(port)).toBe(false);
});
