import { describe, expect, it } from '@jest/globals';

import { compileTemplate } from './evaluate.ts';

const data = {
  ID: 'abc',
  Name: '/web',
  State: { Status: 'running', Pid: 42, OOMKilled: false },
  Config: { Labels: { app: 'x', 'com.example.a': 'y' }, Env: ['A=1', 'B=2'], Cmd: null },
  Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '443/tcp': null },
  Label: (name: unknown) => `label of ${String(name)}`,
};
const render = (template: string, dot: unknown = data): string => compileTemplate(template)(dot);

describe('compileTemplate', () => {
  it.each([
    ['plain', 'plain'],
    ['{{.ID}} {{ .State.Pid }}', 'abc 42'],
    ['{{.State.OOMKilled}}', 'false'],
    ['{{.Config.Env}}', '[A=1 B=2]'],
    ['{{.Config.Labels}}', 'map[app:x com.example.a:y]'],
    ['{{.Config.Cmd}}', '<no value>'],
    ['{{.Config.Labels.nothing}}', '<no value>'],
    ['{{index .Config.Labels "com.example.a"}}|{{index .Config.Labels "z"}}|', 'y||'],
    ['{{(index (index .Ports "80/tcp") 0).HostPort}}', '8080'],
    ['{{json .State}}', '{"Status":"running","Pid":42,"OOMKilled":false}'],
    ['{{.Label "x.y"}}', 'label of x.y'],
    ['{{.Name | printf "%s-%d" "n" | upper}}', 'N-%!D(STRING=/WEB)'],
    ['{{printf "%-6s|%05d|%.2f|%q|%t|%x|%%" "ab" 42 1.5 "q" true 255}}', 'ab    |00042|1.50|"q"|true|ff|%'],
    ['{{join .Config.Env ","}} {{len .Config.Env}}', 'A=1,B=2 2'],
    ['{{index (split "a:b" ":") 1}}', 'b'],
    ['{{lower "AB"}}{{title "ab cd"}}{{pad "x" 1 2}}|{{truncate "abcdef" 3}}', 'abAb Cd x  |abc'],
    ['{{slice .ID 0 2}} {{print 1 2 "x" 3}}', 'ab 1 2x3'],
    ['{{if eq .State.Status "exited" "running"}}up{{else}}down{{end}}', 'up'],
    ['{{if and .ID (not .Config.Cmd)}}y{{end}}', 'y'],
    ['{{or .Config.Cmd "default"}} {{and 1 0}}', 'default 0'],
    ['{{if .Config.Cmd}}a{{else if gt .State.Pid 50}}b{{else}}c{{end}}', 'c'],
    ['{{range .Config.Env}}<{{.}}>{{end}}', '<A=1><B=2>'],
    ['{{range $i, $e := .Config.Env}}{{if $i}}, {{end}}{{$e}}{{end}}', 'A=1, B=2'],
    ['{{range $k, $v := .Ports}}{{$k}}={{len $v | printf "%d"}} {{end}}', undefined],
    [
      '{{range $p, $c := .Ports}}{{$p}} -> {{range $c}}{{.HostPort}}{{else}}none{{end}};{{end}}',
      '443/tcp -> none;80/tcp -> 8080;',
    ],
    ['{{range .Config.Env}}{{.}}{{break}}{{end}}', 'A=1'],
    ['{{with .State}}{{.Status}}{{$.ID}}{{else}}no{{end}}', 'runningabc'],
    ['{{$x := .ID}}{{if true}}{{$x = "z"}}{{end}}{{$x}}', 'z'],
    ['a  {{- .ID -}}  b', 'aabcb'],
    ['a{{/* nothing */}}b{{- /* trims */ -}} c', 'abc'],
    ['{{"quo\\"te\\n"}}{{`raw\\n`}}', 'quo"te\nraw\\n'],
    ['{{println "a" 1}}', 'a 1\n'],
    ['{{ne 1 2}} {{le "a" "b"}}', 'true true'],
  ])('renders %s', (template, expected) => {
    if (expected === undefined) expect(() => render(template)).toThrow('len of type <nil>');
    else expect(render(template)).toBe(expected);
  });

  it.each([
    ['{{.Foo}}', 'executing "": at <.Foo>: map has no entry for key "Foo"'],
    ['{{.ID.Foo}}', "at <.ID.Foo>: can't evaluate field Foo in type string"],
    ['{{.Config.Cmd.X}}', 'nil data; no entry for key "X"'],
    ['{{.State', 'unclosed action'],
    ['{{}}', 'missing value for command'],
    ['{{nope .ID}}', 'function "nope" not defined'],
    ['{{$x}}', 'undefined variable "$x"'],
    ['{{if .ID}}', 'unexpected EOF'],
    ['{{end}}', 'unexpected {{end}}'],
    ['{{break}}', '{{break}} outside {{range}}'],
    ['{{"x}}', 'unterminated quoted string'],
    ['{{.ID .Name}}', 'ID is not a method but has arguments'],
    ['{{lower 5}}', 'error calling lower: wrong type for value; expected string; got int'],
    ['{{index .Config.Cmd "x"}}', 'error calling index: index of untyped nil'],
    ['{{index .Config.Env 5}}', 'index out of range: 5'],
    ['{{.constructor.name}}', 'nil data'],
  ])('refuses %s', (template, message) => {
    expect(() => render(template)).toThrow(message);
    expect(() => render(template)).toThrow(/^template parsing error: template: :1: /);
  });
});
