import { describe, expect, test } from '@jest/globals';

import { checkGuards, isLoopback, parseListen } from './listen.ts';

describe('addresses to listen on', () => {
  test.each([
    ['127.0.0.1:5000', { host: '127.0.0.1', address: '127.0.0.1', port: 5000 }],
    ['[::1]:0', { host: '::1', address: '::1', port: 0 }],
    ['0.0.0.0:65535', { host: '0.0.0.0', address: '0.0.0.0', port: 65_535 }],
  ])('%s', async (listen, address) => {
    expect(await parseListen(listen)).toEqual(address);
  });

  test('names are looked up', async () => {
    const { host, address } = await parseListen('localhost:1');
    expect([host, isLoopback(address)]).toEqual(['localhost', true]);
  });

  test.each([
    ':5000',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:x',
    '::1:5000',
    '[127.0.0.1:5',
    '[a]:5',
  ])('%s is none', async (listen) => {
    await expect(parseListen(listen)).rejects.toMatchObject({ code: 'CONFIG_INVALID', option: 'listen' });
  });

  test('loopback is what only this machine reaches', () => {
    const local = ['127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'];
    expect(local.map((address) => isLoopback(address))).toEqual(local.map(() => true));
    const others = ['0.0.0.0', '::', '192.0.2.1', '::ffff:192.0.2.1', '::ffff:0.0.0.0', '2001:db8::1', 'localhost', ''];
    expect(others.map((address) => isLoopback(address))).toEqual(others.map(() => false));
  });

  const open = { host: '0.0.0.0', address: '0.0.0.0', port: 5000 };
  test.each([
    [{ accounts: false, tls: true, plainHttp: true }, 'add access with accounts'],
    [{ accounts: true, tls: false, plainHttp: false }, 'add tls with certFile and keyFile, or plainHttp: true'],
  ])('beyond it, %j is refused', (guards, why) => {
    expect(() => checkGuards(open, guards)).toThrow(expect.objectContaining({ code: 'CONFIG_UNSAFE' }));
    expect(() => checkGuards(open, guards)).toThrow(why);
    expect(() => checkGuards({ ...open, address: '127.0.0.1' }, guards)).not.toThrow();
  });

  test.each([
    { accounts: true, tls: true, plainHttp: false },
    { accounts: true, tls: false, plainHttp: true },
  ])('beyond it, %j is fine', (guards) => {
    expect(() => checkGuards(open, guards)).not.toThrow();
  });
});
