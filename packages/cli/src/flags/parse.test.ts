import { describe, expect, it } from '@jest/globals';

import { integer, list, text, toggle } from './flag.ts';
import { formatHelp } from './help.ts';
import { parseFlags } from './parse.ts';
import { editDistance, suggest } from './suggest.ts';

const flags = {
  detach: toggle('Run in the background', { short: 'd' }),
  interactive: toggle('Keep STDIN open', { short: 'i' }),
  tty: toggle('Allocate a terminal', { short: 't' }),
  rm: toggle('Remove it afterwards'),
  'sig-proxy': toggle('Proxy signals', { initial: true }),
  name: text('A name'),
  network: text('A network', { aliases: ['net'] }),
  publish: list('Publish ports', { short: 'p' }),
  weight: integer('A weight', { short: 'w' }),
};
const parse = (words: readonly string[], interspersed = false) =>
  parseFlags(flags, words, { interspersed, notYet: ['gpus', 'c'] });

describe('parseFlags', () => {
  it('reads one-letter flags in one word, with an attached value at its end', () => {
    const { values, positional } = parse(['-itp8080:80', '-p=9:9', '-p', '1:1', 'image', '-d']);
    expect(values).toMatchObject({ interactive: true, tty: true, detach: false, publish: ['8080:80', '9:9', '1:1'] });
    expect(positional).toEqual(['image', '-d']);
  });

  it('reads long flags with = and with a following word', () => {
    expect(parse(['--name=a=b', '--net', 'host', '--rm=false', '--sig-proxy=0']).values).toMatchObject({
      name: 'a=b',
      network: 'host',
      rm: false,
      'sig-proxy': false,
    });
    expect(parse(['--name', '-x']).values.name).toBe('-x');
    expect(parse(['--name=']).values.name).toBe('');
  });

  it('leaves everything after the first positional word, or after --, to the container', () => {
    expect(parse(['-d', 'image', 'sh', '-c', 'x', '--rm']).positional).toEqual(['image', 'sh', '-c', 'x', '--rm']);
    expect(parse(['--', '-d']).positional).toEqual(['-d']);
    const mixed = parse(['a', '-d', '-', '--', '-t'], true);
    expect(mixed.positional).toEqual(['a', '-', '-t']);
    expect(mixed.given).toEqual(new Set(['detach']));
  });

  it.each([
    [['--detatch'], 'unknown flag: --detatch (did you mean --detach?)'],
    [['--zzzzzz'], 'unknown flag: --zzzzzz'],
    [['--gpus', 'all'], 'flag --gpus is not supported yet'],
    [['-c', '1'], 'flag -c is not supported yet'],
    [['-iz'], "unknown shorthand flag: 'z' in -iz"],
    [['--name'], 'flag needs an argument: --name'],
    [['-ip'], "flag needs an argument: 'p' in -ip"],
    [['--=x'], 'bad flag syntax: --=x'],
    [['---x'], 'bad flag syntax: ---x'],
    [['--rm=maybe'], 'invalid argument "maybe" for "--rm" flag: "maybe" is not true or false'],
    [['-w', 'x1'], 'invalid argument "x1" for "-w, --weight" flag: "x1" is not a whole number'],
  ])('refuses %j', (words, message) => {
    expect(() => parse(words)).toThrow(expect.objectContaining({ message, exitCode: 125 }));
  });

  it('understands --help and a free -h', () => {
    expect(parse(['--help', '--nonsense']).help).toBe(true);
    expect(parse(['-h']).help).toBe(true);
    expect(parse(['image', '--help']).help).toBe(false);
  });
});

describe('suggest', () => {
  it('counts swapped letters once', () => {
    expect(editDistance('imgaes', 'images')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });
  it('offers the nearest word and nothing far', () => {
    expect(suggest('imgaes', ['inspect', 'images'])).toBe('images');
    expect(suggest('frobnicate', ['inspect', 'images'])).toBeUndefined();
  });
});

describe('formatHelp', () => {
  it('looks like Docker', () => {
    const page = { usage: 'tsc x [OPTIONS]', summary: 'Do x', aliases: ['tsc c x', 'tsc x'], flags };
    expect(formatHelp(page, 60)).toBe(
      [
        'Usage:  tsc x [OPTIONS]',
        '',
        'Do x',
        '',
        'Aliases:',
        '  tsc c x, tsc x',
        '',
        'Options:',
        '  -d, --detach           Run in the background',
        '  -i, --interactive      Keep STDIN open',
        '      --name string      A name',
        '      --network string   A network',
        '  -p, --publish list     Publish ports',
        '      --rm               Remove it afterwards',
        '      --sig-proxy        Proxy signals (default true)',
        '  -t, --tty              Allocate a terminal',
        '  -w, --weight int       A weight',
        '',
      ].join('\n'),
    );
    const wrapped = formatHelp(
      { ...page, aliases: [], flags: { n: text('one two three four five six seven eight') } },
      45,
    );
    expect(wrapped).toContain('      --n string   one two three four five\n                   six seven eight');
  });
});
