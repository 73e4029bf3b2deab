import { describe, expect, it } from '@jest/globals';

import { parseEnv, parseEnvFile, parseLabelFile, parseLabels } from './assignment.ts';
import { parseDuration } from './duration.ts';
import { parseLog } from './log.ts';
import { parseExtraHost, parseNameServer, parseNetwork } from './network.ts';
import { parseRestart } from './restart.ts';
import { parseSecurityOptions } from './security.ts';
import { parseSize, parseSizeOrUnlimited } from './size.ts';
import { parseTimestamp } from './timestamp.ts';
import { parseUlimit } from './ulimit.ts';

describe('parseSize', () => {
  it.each([
    ['64m', 64 * 1024 ** 2],
    ['1.5g', 1.5 * 1024 ** 3],
    ['512KiB', 512 * 1024],
    ['32kb', 32 * 1024],
    ['1024', 1024],
    ['0', 0],
    ['1 G', 1024 ** 3],
  ])('reads %s', (word, bytes) => {
    expect(parseSize(word)).toBe(bytes);
  });
  it.each(['', 'm', '-1', '64mm', '1.2.3', '64 m b', '99999999p'])('refuses %j', (word) => {
    expect(() => parseSize(word)).toThrow(`invalid size: '${word}'`);
  });
  it('knows no limit', () => {
    expect(parseSizeOrUnlimited('-1')).toBe(-1);
    expect(parseSizeOrUnlimited('1k')).toBe(1024);
  });
});

describe('parseDuration', () => {
  it.each([
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['-2m', -120_000],
    ['250ms', 250],
    ['0', 0],
  ])('reads %s', (word, milliseconds) => {
    expect(parseDuration(word)).toBe(milliseconds);
  });
  it.each(['', '10', 's', '1d', '1h 2m'])('refuses %j', (word) => {
    expect(() => parseDuration(word)).toThrow(`invalid duration "${word}"`);
  });
});

describe('parseTimestamp', () => {
  const now = new Date('2026-01-02T12:00:00Z');
  it.each([
    ['10m', '2026-01-02T11:50:00.000Z'],
    ['1136073845.5', '2006-01-01T00:04:05.500Z'],
    ['2006-01-02T15:04:05.25Z', '2006-01-02T15:04:05.250Z'],
    ['2006-01-02T15:04+02:00', '2006-01-02T13:04:00.000Z'],
    ['2006-01-02Z', '2006-01-02T00:00:00.000Z'],
  ])('reads %s', (word, expected) => {
    expect(parseTimestamp(word, now).toISOString()).toBe(expected);
  });
  it('reads a date without a zone in local time', () => {
    expect(parseTimestamp('2006-01-02', now)).toEqual(new Date(2006, 0, 2));
    expect(parseTimestamp('2006-01-02T15:04', now)).toEqual(new Date(2006, 0, 2, 15, 4));
  });
  it.each(['yesterday', '2006-13-45', ''])('refuses %j', (word) => {
    expect(() => parseTimestamp(word, now)).toThrow(/is (neither a time|not a date)/);
  });
});

describe('environment and labels', () => {
  it('takes a name alone from the environment', () => {
    expect(parseEnv('A=b=c', {})).toBe('A=b=c');
    expect(parseEnv('HOME', { HOME: '/root' })).toBe('HOME=/root');
    expect(parseEnv('GONE', {})).toBe('GONE');
    expect(() => parseEnv('=x', {})).toThrow('invalid environment variable: =x');
  });
  it('reads files as they are, without quoting', () => {
    const content = '\uFEFF# comment\nA="b"\r\n\n  B= c #d\nHOME\nGONE\n';
    expect(parseEnvFile(content, 'f', { HOME: '/root' })).toEqual(['A="b"', 'B= c #d', 'HOME=/root']);
    expect(parseLabelFile('a\nb=c', 'f')).toEqual(['a=', 'b=c']);
  });
  it('names the line that is wrong', () => {
    expect(() => parseEnvFile('A=1\nB C=2', 'vars', {})).toThrow(
      "poorly formatted environment: vars: line 2: variable 'B C' contains whitespaces",
    );
    expect(() => parseEnvFile('=1', 'vars', {})).toThrow("no variable name on line '=1'");
  });
  it('keeps the last label of a name', () => {
    expect(parseLabels(['a=1', 'b', 'a=2=3'])).toEqual({ a: '2=3', b: '' });
    expect(() => parseLabels(['=x'])).toThrow('empty name');
  });
});

describe('parseRestart', () => {
  it('reads every policy', () => {
    expect(parseRestart('always')).toEqual({ name: 'always' });
    expect(parseRestart('on-failure')).toEqual({ name: 'on-failure' });
    expect(parseRestart('on-failure:3')).toEqual({ name: 'on-failure', maximumRetryCount: 3 });
  });
  it.each(['sometimes', 'on-failure:x', 'always:3', 'on-failure:1:2'])('refuses %s', (word) => {
    expect(() => parseRestart(word)).toThrow(/invalid restart policy/);
  });
});

describe('parseUlimit', () => {
  it('reads soft and hard limits', () => {
    expect(parseUlimit('nofile=1024:2048')).toEqual({ name: 'nofile', soft: 1024, hard: 2048 });
    expect(parseUlimit('core=-1')).toEqual({ name: 'core', soft: -1, hard: -1 });
    expect(parseUlimit('nproc=5')).toEqual({ name: 'nproc', soft: 5, hard: 5 });
  });
  it.each(['nofile', 'nofile=', 'foo=1', 'nofile=2:1', 'nofile=a', 'nofile=-1:5'])('refuses %s', (word) => {
    expect(() => parseUlimit(word)).toThrow(expect.objectContaining({ code: 'CLI_BAD_VALUE' }));
  });
});

describe('network words', () => {
  it('reads hosts and name servers', () => {
    expect(parseExtraHost('db:10.0.0.1')).toBe('db:10.0.0.1');
    expect(parseExtraHost('db=[::1]')).toBe('db:::1');
    expect(parseExtraHost('h:host-gateway')).toBe('h:host-gateway');
    expect(() => parseExtraHost('db')).toThrow('bad format for add-host: "db"');
    expect(() => parseExtraHost('db:x')).toThrow('invalid IP address in add-host: "x"');
    expect(parseNameServer('1.1.1.1')).toBe('1.1.1.1');
    expect(() => parseNameServer('one')).toThrow('one is not an ip address');
  });
  it('knows three networks', () => {
    expect(['default', 'none', 'host'].map(parseNetwork)).toEqual(['bridge', 'none', 'host']);
    expect(() => parseNetwork('mine')).toThrow('not supported yet');
    expect(() => parseNetwork('container:x')).toThrow('not supported yet');
  });
});

describe('parseSecurityOptions', () => {
  const parse = (...words: readonly string[]) =>
    parseSecurityOptions(words, (path) => (path === 'p.json' ? '{}' : '{'));
  it('reads seccomp and no-new-privileges', () => {
    expect(parse('no-new-privileges', 'seccomp=unconfined')).toEqual({
      noNewPrivileges: true,
      seccompProfile: 'unconfined',
    });
    expect(parse('no-new-privileges:false', 'seccomp:p.json')).toEqual({
      noNewPrivileges: false,
      seccompProfile: '{}',
    });
    expect(parse('apparmor=unconfined', 'label=disable')).toEqual({});
  });
  it.each(['seccomp', 'seccomp=bad', 'apparmor=mine', 'label=type:x', 'what=1', 'systempaths=unconfined'])(
    'refuses %s',
    (word) => {
      expect(() => parse(word)).toThrow(expect.objectContaining({ code: 'CLI_BAD_VALUE' }));
    },
  );
});

describe('parseLog', () => {
  it('reads the options of json-file', () => {
    expect(parseLog(undefined, [])).toBeUndefined();
    expect(parseLog(undefined, ['max-size=10m', 'max-file=3'])).toEqual({
      driver: 'json-file',
      maxSizeBytes: 10 * 1024 ** 2,
      maxFiles: 3,
    });
    expect(parseLog('none', [])).toEqual({ driver: 'none' });
  });
  it('refuses what it does not know', () => {
    expect(() => parseLog('syslog', [])).toThrow('the log driver "syslog"');
    expect(() => parseLog('json-file', ['tag=x'])).toThrow("unknown log opt 'tag' for json-file log driver");
    expect(() => parseLog('json-file', ['max-file=0'])).toThrow('max-file cannot be less than 1');
    expect(() => parseLog('none', ['max-size=1'])).toThrow('has no options');
  });
});
