import { badValue } from '../../errors.ts';
import { functions, truth } from './functions.ts';
import type { TemplateFunctions } from './functions.ts';
import { parseTemplate } from './parse.ts';
import type { Block, Command, Node, Operand, Pipeline } from './parse.ts';
import { goType, show, sortedEntries } from './printing.ts';

export type Template = (data: unknown) => string;

/**
 * Compiles the part of Go's text/template that people use with `--format`. A function as a field's value is a method:
 * `{{.Label "x"}}`. A field that isn't there is an error when it could be Go's (`.Foo`), `<no value>` when only a map
 * could have it (`.Labels.foo`).
 *
 * @param own - functions that come before those of the same name that all templates have
 */
export function compileTemplate(template: string, own: TemplateFunctions = new Map()): Template {
  const nodes = parseTemplate(template);
  const known = own.size === 0 ? functions : new Map([...functions, ...own]);
  return (data) => {
    const run = new Run(data, known);
    run.nodes(nodes, data);
    return run.output;
  };
}

type Jump = 'break' | 'continue' | undefined;
type Execution = Error & { readonly code: 'TEMPLATE_WRONG_CALL' };

const isExecution = (error: unknown): error is Execution =>
  Error.isError(error) && 'code' in error && error.code === 'TEMPLATE_WRONG_CALL';

class Run {
  output = '';
  readonly #scopes: Map<string, unknown>[];
  readonly #functions: TemplateFunctions;
  constructor(data: unknown, known: TemplateFunctions) {
    this.#scopes = [new Map([['$', data]])];
    this.#functions = known;
  }

  nodes(nodes: readonly Node[], dot: unknown): Jump {
    for (const node of nodes) {
      const jump = this.#node(node, dot);
      if (jump !== undefined) return jump;
    }
    return undefined;
  }

  #node(node: Node, dot: unknown): Jump {
    switch (node.type) {
      case 'text':
        this.output += node.text;
        return undefined;
      case 'print': {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.variables.length === 0) this.output += show(value);
        return undefined;
      }
      case 'break':
      case 'continue':
        return node.type;
      default:
        return this.#block(node, dot);
    }
  }

  #block(node: Block, dot: unknown): Jump {
    this.#scopes.push(new Map());
    try {
      if (node.type === 'range') return this.#range(node, dot);
      const value = this.#pipeline(node.pipeline, dot);
      const inner = node.type === 'with' && truth(value) ? value : dot;
      return this.nodes(truth(value) ? node.body : node.otherwise, inner);
    } finally {
      this.#scopes.pop();
    }
  }

  #range(node: Block, dot: unknown): Jump {
    const { variables } = node.pipeline;
    const entries = elements(this.#pipeline({ ...node.pipeline, variables: [] }, dot));
    if (entries.length === 0) return this.nodes(node.otherwise, dot);
    for (const [key, value] of entries) {
      const names = variables.length === 1 ? [undefined, variables[0]] : variables;
      const scope = new Map<string, unknown>();
      if (names[0] !== undefined) scope.set(names[0], key);
      if (names[1] !== undefined) scope.set(names[1], value);
      this.#scopes.push(scope);
      const jump = this.nodes(node.body, value);
      this.#scopes.pop();
      if (jump === 'break') break;
    }
    return undefined;
  }

  #pipeline(pipeline: Pipeline, dot: unknown): unknown {
    let value: unknown;
    pipeline.commands.forEach((command, i) => {
      value = this.#command(command, dot, i === 0 ? [] : [value]);
    });
    const [name] = pipeline.variables;
    if (name !== undefined) this.#setVariable(name, value, pipeline.assigns);
    return value;
  }

  /** `piped` is what the command before in the pipeline gave: the last argument. */
  #command(command: Command, dot: unknown, piped: readonly unknown[]): unknown {
    const [head, ...rest] = command;
    if (head.type === 'function' && (head.name === 'and' || head.name === 'or')) {
      return this.#lazy(head.name === 'and', rest, { dot, piped });
    }
    const operands = (): unknown[] => [...rest.map((operand) => this.#operand(operand, dot)), ...piped];
    if (head.type === 'function') return this.#call(head.name, operands());
    if (head.type === 'fields') return this.#fields(head, dot, operands());
    if (rest.length + piped.length > 0) throw executionError(`can't give argument to non-function ${spell(head)}`);
    return this.#operand(head, dot);
  }

  #lazy(wanted: boolean, operands: readonly Operand[], from: { dot: unknown; piped: readonly unknown[] }): unknown {
    let value: unknown;
    for (const operand of operands) {
      value = this.#operand(operand, from.dot);
      if (truth(value) !== wanted) return value;
    }
    return from.piped.length > 0 ? from.piped[0] : value;
  }

  #operand(operand: Operand, dot: unknown): unknown {
    switch (operand.type) {
      case 'dot':
        return dot;
      case 'literal':
        return operand.value;
      case 'variable':
        return this.#variable(operand.name);
      case 'function':
        return this.#call(operand.name, []);
      case 'pipeline':
        return this.#pipeline(operand.pipeline, dot);
      case 'fields':
        return this.#fields(operand, dot, []);
    }
  }

  #fields(chain: Extract<Operand, { readonly type: 'fields' }>, dot: unknown, operands: readonly unknown[]): unknown {
    let value = this.#operand(chain.of, dot);
    chain.names.forEach((name, i) => {
      const last = i === chain.names.length - 1;
      value = field(value, name, {
        spelled: `.${chain.names.slice(0, i + 1).join('.')}`,
        operands: last ? operands : [],
      });
    });
    return value;
  }

  #call(name: string, operands: readonly unknown[]): unknown {
    const body = this.#functions.get(name);
    if (body === undefined) throw badValue(`template parsing error: template: :1: function "${name}" not defined`);
    try {
      return body(...operands);
    } catch (error) {
      if (isExecution(error)) throw executionError(error.message);
      throw error;
    }
  }

  #variable(name: string): unknown {
    const scope = this.#scopes.findLast((candidate) => candidate.has(name));
    if (scope === undefined) throw badValue(`template parsing error: template: :1: undefined variable "${name}"`);
    return scope.get(name);
  }

  #setVariable(name: string, value: unknown, assigns: boolean): void {
    if (assigns) this.#variable(name);
    const scope = assigns ? this.#scopes.findLast((candidate) => candidate.has(name)) : this.#scopes.at(-1);
    scope?.set(name, value);
  }
}

const executionError = (message: string): Error =>
  badValue(`template parsing error: template: :1: executing "": ${message}`);

function field(
  of: unknown,
  name: string,
  { spelled, operands }: { spelled: string; operands: readonly unknown[] },
): unknown {
  if (of === null || of === undefined) throw executionError(`nil data; no entry for key "${name}"`);
  if (typeof of !== 'object' || Array.isArray(of) || of instanceof Date) {
    throw executionError(`at <${spelled}>: can't evaluate field ${name} in type ${goType(of)}`);
  }
  if (!Object.hasOwn(of, name)) {
    if (/^\p{Lu}/u.test(name)) throw executionError(`at <${spelled}>: map has no entry for key "${name}"`);
    return undefined;
  }
  const value = (of as Readonly<Record<string, unknown>>)[name];
  if (typeof value === 'function') return (value as (...of: readonly unknown[]) => unknown)(...operands);
  if (operands.length > 0) throw executionError(`at <${spelled}>: ${name} is not a method but has arguments`);
  return value;
}

function elements(value: unknown): readonly (readonly [unknown, unknown])[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((element: unknown, i) => [i, element]);
  if (Number.isInteger(value)) return Array.from({ length: value as number }, (_, i) => [i, i]);
  if (typeof value === 'object') return sortedEntries(value);
  throw executionError(`range can't iterate over ${show(value)}`);
}

const spell = (operand: Operand): string =>
  operand.type === 'literal' ? JSON.stringify(operand.value) : operand.type === 'variable' ? operand.name : '.';
