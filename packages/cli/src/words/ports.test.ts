import { describe, expect, it } from '@jest/globals';

import { parseExposed, parsePublish } from './ports.ts';

describe('parsePublish', () => {
  it('reads every form', () => {
    expect(parsePublish('80')).toEqual([{ protocol: 'tcp', containerPort: 80 }]);
    expect(parsePublish('8080:80/udp')).toEqual([{ protocol: 'udp', containerPort: 80, hostPort: 8080 }]);
    expect(parsePublish('127.0.0.1:8080:80')).toEqual([
      { protocol: 'tcp', containerPort: 80, hostPort: 8080, hostAddress: '127.0.0.1' },
    ]);
    expect(parsePublish('127.0.0.1::80')).toEqual([{ protocol: 'tcp', containerPort: 80, hostAddress: '127.0.0.1' }]);
  });
  it('pairs ranges', () => {
    expect(parsePublish('8000-8001:80-81/sctp')).toEqual([
      { protocol: 'sctp', containerPort: 80, hostPort: 8000 },
      { protocol: 'sctp', containerPort: 81, hostPort: 8001 },
    ]);
    expect(parsePublish('80-81')).toHaveLength(2);
  });
  it.each([
    ['', 'no port specified: <empty>'],
    ['8080:', 'no port specified: 8080:<empty>'],
    ['x', 'invalid containerPort: x'],
    ['0', 'invalid containerPort: 0'],
    ['80:99999', 'invalid containerPort: 99999'],
    ['99999:80', 'invalid hostPort: 99999'],
    ['80/icmp', 'invalid proto: icmp'],
    ['1.2.3.400:1:1', 'invalid IP address: 1.2.3.400'],
    ['8000-8002:80-81', 'invalid ranges specified for container and host Ports: 80-81 and 8000-8002'],
    ['8000-8002:80', 'a free port out of the range 8000-8002 is not supported yet'],
    ['[::1]:8080:80', 'publishing on an IPv6 address ([::1]:8080:80) is not supported yet'],
  ])('refuses %s', (word, message) => {
    expect(() => parsePublish(word)).toThrow(expect.objectContaining({ message }));
  });
});

describe('parseExposed', () => {
  it('reads what EXPOSE writes', () => {
    expect(parseExposed('53/udp')).toEqual([{ protocol: 'udp', port: 53 }]);
    expect(parseExposed('80-81')).toEqual([
      { protocol: 'tcp', port: 80 },
      { protocol: 'tcp', port: 81 },
    ]);
  });
});
