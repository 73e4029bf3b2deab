import { describe, expect, it } from '@jest/globals';

import { applyChanges } from './changes.ts';

describe('applyChanges', () => {
  it.each([
    [['CMD ["a", "b"]'], { Cmd: ['a', 'b'] }],
    [['cmd echo "x y"'], { Cmd: ['/bin/sh', '-c', 'echo "x y"'] }],
    [
      ['SHELL ["/bin/bash", "-c"]', 'ENTRYPOINT run'],
      { Shell: ['/bin/bash', '-c'], Entrypoint: ['/bin/bash', '-c', 'run'] },
    ],
    [['ENV A=1 B="two words" C=x\\ y', "ENV A='3'"], { Env: ['A=3', 'B=two words', 'C=x y'] }],
    [['ENV OLD all the rest'], { Env: ['OLD=all the rest'] }],
    [['EXPOSE 80 53/udp 1-2'], { ExposedPorts: { '80/tcp': {}, '53/udp': {}, '1/tcp': {}, '2/tcp': {} } }],
    [['LABEL a=b "c d"="e f"'], { Labels: { a: 'b', 'c d': 'e f' } }],
    [['VOLUME ["/a b"]', 'VOLUME /c /d'], { Volumes: { '/a b': {}, '/c': {}, '/d': {} } }],
    [['WORKDIR /a', 'WORKDIR b/../c'], { WorkingDir: '/a/c' }],
    [['USER 1:2', 'STOPSIGNAL SIGQUIT'], { User: '1:2', StopSignal: 'SIGQUIT' }],
    [
      ['HEALTHCHECK --interval=1m30s --retries=3 CMD curl x'],
      { Healthcheck: { Test: ['CMD-SHELL', 'curl x'], Interval: 9e10, Retries: 3 } },
    ],
    [['HEALTHCHECK NONE'], { Healthcheck: { Test: ['NONE'] } }],
    [['ONBUILD RUN x'], { OnBuild: ['RUN x'] }],
  ])('%j', (changes, config) => {
    expect(applyChanges({}, changes)).toEqual(config);
  });

  it('lets an ENTRYPOINT take the old Cmd away', () => {
    expect(applyChanges({ Cmd: ['old'] }, ['ENTRYPOINT ["x"]'])).toEqual({ Entrypoint: ['x'] });
    expect(applyChanges({ Cmd: ['old'] }, ['CMD ["new"]', 'ENTRYPOINT ["x"]'])).toEqual({
      Cmd: ['new'],
      Entrypoint: ['x'],
    });
  });

  it.each([
    '',
    'RUN x',
    'CMD',
    'ENV a',
    'ENV =x',
    'LABEL "x',
    'EXPOSE 0',
    'EXPOSE 70000',
    'EXPOSE 80/x',
    'HEALTHCHECK x',
    'constructor x',
    'SHELL x',
  ])('refuses %j', (change) => {
    expect(() => applyChanges({}, [change])).toThrow(expect.objectContaining({ code: 'CHANGE_INVALID' }));
  });
});
