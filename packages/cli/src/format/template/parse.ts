import { templateError, tokenize } from './tokens.ts';
import type { Token } from './tokens.ts';

/** A template as a tree. */
export type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'print'; readonly pipeline: Pipeline }
  | Block
  | { readonly type: 'break' | 'continue' };

export interface Block {
  readonly type: 'if' | 'with' | 'range';
  readonly pipeline: Pipeline;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

export interface Pipeline {
  /** `$x :=` or, in a range, `$key, $value :=`. */
  readonly variables: readonly string[];
  /** `$x =` gives a variable that exists another value. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}
/** An operand, followed by its arguments when it is a function or a method. */
export type Command = readonly [Operand, ...Operand[]];
export type Operand =
  | { readonly type: 'dot' }
  | { readonly type: 'literal'; readonly value: string | number | boolean | null }
  | { readonly type: 'variable' | 'function'; readonly name: string }
  | { readonly type: 'pipeline'; readonly pipeline: Pipeline }
  | { readonly type: 'fields'; readonly of: Operand; readonly names: readonly string[] };

export const parseTemplate = (template: string): readonly Node[] => new Parser(tokenize(template)).readAll();

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  readAll(): readonly Node[] {
    const { nodes, ended } = this.#readNodes(0);
    if (ended !== undefined) throw templateError(`unexpected {{${ended}}}`);
    return nodes;
  }

  /** Reads up to the `end` or `else` of the block around, and says which it was. */
  #readNodes(loops: number): { nodes: readonly Node[]; ended: 'end' | 'else' | undefined } {
    const nodes: Node[] = [];
    for (let token = this.#take(); token !== undefined; token = this.#take()) {
      if (token.type === 'text') {
        nodes.push(token);
        continue;
      }
      this.#skipSpace();
      const word = this.#peek();
      const keyword = word?.type === 'name' ? word.text : undefined;
      if (keyword === 'end' || keyword === 'else') {
        this.#take();
        if (keyword === 'end') this.#expectClose();
        return { nodes, ended: keyword };
      }
      nodes.push(this.#readStatement(keyword, loops));
    }
    return { nodes, ended: undefined };
  }

  #readStatement(keyword: string | undefined, loops: number): Node {
    if (keyword === 'if' || keyword === 'with' || keyword === 'range') {
      this.#take();
      return this.#readBlock(keyword, loops + (keyword === 'range' ? 1 : 0));
    }
    if (keyword === 'break' || keyword === 'continue') {
      if (loops === 0) throw templateError(`{{${keyword}}} outside {{range}}`);
      this.#take();
      this.#expectClose();
      return { type: keyword };
    }
    if (keyword === 'define' || keyword === 'template' || keyword === 'block') {
      throw templateError(`{{${keyword}}} is not supported yet`);
    }
    const pipeline = this.#readPipeline('close');
    return { type: 'print', pipeline };
  }

  #readBlock(type: 'if' | 'with' | 'range', loops: number): Node {
    const pipeline = this.#readPipeline('close');
    const { nodes: body, ended } = this.#readNodes(loops);
    if (ended === undefined) throw templateError('unexpected EOF');
    if (ended === 'end') return { type, pipeline, body, otherwise: [] };
    this.#skipSpace();
    const word = this.#peek();
    if (word?.type === 'name' && (word.text === 'if' || word.text === 'with')) {
      this.#take();
      return { type, pipeline, body, otherwise: [this.#readBlock(word.text, loops)] };
    }
    this.#expectClose();
    const { nodes: otherwise, ended: last } = this.#readNodes(loops);
    if (last !== 'end') throw templateError(last === undefined ? 'unexpected EOF' : 'unexpected {{else}}');
    return { type, pipeline, body, otherwise };
  }

  #readPipeline(end: 'close' | 'right'): Pipeline {
    const { variables, assigns } = this.#readDeclaration();
    const commands: Command[] = [];
    for (;;) {
      commands.push(this.#readCommand());
      const token = this.#take();
      if (token?.type === end) return { variables, assigns, commands };
      if (token?.type !== 'pipe') throw templateError(`unexpected ${token?.type ?? 'EOF'} in command`);
    }
  }

  #readDeclaration(): { variables: readonly string[]; assigns: boolean } {
    const start = this.#next;
    const variables: string[] = [];
    for (;;) {
      this.#skipSpace();
      const token = this.#take();
      if (token?.type !== 'variable') break;
      variables.push(token.text);
      this.#skipSpace();
      const mark = this.#take();
      if (mark?.type === 'declare' || mark?.type === 'assign') return { variables, assigns: mark.type === 'assign' };
      if (mark?.type !== 'comma') break;
    }
    this.#next = start;
    return { variables: [], assigns: false };
  }

  #readCommand(): Command {
    const operands: Operand[] = [];
    for (;;) {
      this.#skipSpace();
      const token = this.#peek();
      if (token === undefined || token.type === 'close' || token.type === 'right' || token.type === 'pipe') break;
      operands.push(this.#readOperand());
    }
    const [first, ...rest] = operands;
    if (first === undefined) throw templateError('missing value for command');
    return [first, ...rest];
  }

  #readOperand(): Operand {
    const token = this.#take();
    let operand: Operand;
    if (token?.type === 'dot') operand = { type: 'dot' };
    else if (token?.type === 'literal') return { type: 'literal', value: token.value };
    else if (token?.type === 'name') return { type: 'function', name: token.text };
    else if (token?.type === 'variable') operand = { type: 'variable', name: token.text };
    else if (token?.type === 'left') operand = { type: 'pipeline', pipeline: this.#readPipeline('right') };
    else if (token?.type === 'field') operand = { type: 'fields', of: { type: 'dot' }, names: [token.text] };
    else throw templateError(`unexpected ${token?.type ?? 'EOF'} in operand`);
    return this.#withFields(operand);
  }

  #withFields(operand: Operand): Operand {
    const names: string[] = [];
    for (let token = this.#peek(); token?.type === 'field'; token = this.#peek()) {
      names.push(token.text);
      this.#take();
    }
    if (names.length === 0) return operand;
    return operand.type === 'fields'
      ? { ...operand, names: [...operand.names, ...names] }
      : { type: 'fields', of: operand, names };
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }
  #take(): Token | undefined {
    return this.#tokens[this.#next++];
  }
  #skipSpace(): void {
    while (this.#peek()?.type === 'space') this.#next++;
  }
  #expectClose(): void {
    this.#skipSpace();
    if (this.#take()?.type !== 'close') throw templateError('unexpected words at the end of an action');
  }
}
