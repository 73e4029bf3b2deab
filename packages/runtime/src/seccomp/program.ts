import { RuntimeError } from '../errors.ts';
import type { Decision, Masked, Range, Search } from './decision.ts';

/** Classic BPF, from <linux/bpf_common.h>: operation codes that a seccomp filter may use. */
const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_NOT_BELOW = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_ANY_BIT = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

/** BPF_MAXINSNS: the kernel takes no longer program. */
const MAX_INSTRUCTIONS = 4096;
/** A conditional jump has eight bits; two less leave room for the two trampolines that may come between. */
const REACH = 253;

interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly jt?: number;
  readonly jf?: number;
}

/** Where a jump goes: a decision, or a step of a search in one. */
type Target = Decision | Step;

interface Step {
  readonly type: 'step';
}

/**
 * Turns a decision diagram into a program.
 *
 * Jumps only go forward, so we write from the end to the start: what a jump goes to is there already, and its distance
 * known. A place is counted from the end of the program.
 */
class Assembler {
  readonly #backwards: Instruction[] = [];
  readonly #places = new Map<Target, number>();

  emit(decision: Decision): void {
    if (this.#places.has(decision)) return;
    switch (decision.type) {
      case 'return':
        this.#push(decision, { code: RETURN, k: decision.value });
        break;
      case 'search':
        this.#emitSearch(decision);
        break;
      case 'masked':
        this.#emitMasked(decision);
    }
  }

  bytes(): Uint8Array {
    const count = this.#backwards.length;
    if (count > MAX_INSTRUCTIONS) {
      throw new RuntimeError(
        'RUNTIME_INVALID_SECCOMP',
        `seccomp profile is too large: it takes ${String(count)} instructions and the kernel allows ${String(MAX_INSTRUCTIONS)}`,
      );
    }
    const bytes = new Uint8Array(count * 8);
    const view = new DataView(bytes.buffer);
    this.#backwards.toReversed().forEach(({ code, k, jt = 0, jf = 0 }, index) => {
      view.setUint16(index * 8, code, true);
      view.setUint8(index * 8 + 2, jt);
      view.setUint8(index * 8 + 3, jf);
      view.setUint32(index * 8 + 4, k, true);
    });
    return bytes;
  }

  #emitSearch(search: Search): void {
    // The last to be written is the nearest: the first range, which is the native architecture's and the common calls'.
    for (const { to } of search.ranges.toReversed()) if (to.type !== 'return') this.emit(to);
    this.#emitRanges(search.ranges);
    this.#push(search, { code: LOAD_WORD, k: search.word });
  }

  /** A balanced tree over the ranges; one number between two equal neighbours takes a single comparison. */
  #emitRanges(ranges: readonly Range[]): Target {
    const [first, second] = ranges;
    if (first === undefined) throw new Error('a search needs a range');
    if (second === undefined) return first.to;
    const step: Step = { type: 'step' };
    if (ranges.length === 3 && isHole(ranges, 1)) {
      this.#branch(step, { code: JUMP_EQUAL, k: second.from }, [second.to, first.to]);
    } else {
      const middle = middleOf(ranges);
      const right = this.#emitRanges(ranges.slice(middle));
      const left = this.#emitRanges(ranges.slice(0, middle));
      this.#branch(step, { code: JUMP_NOT_BELOW, k: ranges[middle]?.from ?? 0 }, [right, left]);
    }
    return step;
  }

  #emitMasked(test: Masked): void {
    const { word, mask, value, then, otherwise } = test;
    for (const end of [otherwise, then]) if (end.type !== 'return') this.emit(end);
    const step: Step = { type: 'step' };
    if (value === 0) {
      this.#branch(step, { code: JUMP_ANY_BIT, k: mask }, [otherwise, then]);
    } else {
      this.#branch({ type: 'step' }, { code: JUMP_EQUAL, k: value }, [then, otherwise]);
      this.#push(step, { code: AND, k: mask });
    }
    this.#push(test, { code: LOAD_WORD, k: word });
  }

  #branch(step: Step, test: { readonly code: number; readonly k: number }, [yes, no]: readonly [Target, Target]): void {
    this.#bringNear(yes);
    this.#bringNear(no);
    this.#push(step, { ...test, jt: this.#distance(yes), jf: this.#distance(no) });
  }

  /** Makes a target reachable with a short jump: another copy of a return, or a long jump to anything else. */
  #bringNear(target: Target): void {
    if (this.#places.has(target) && this.#distance(target) <= REACH) return;
    if (target.type === 'return') this.#push(target, { code: RETURN, k: target.value });
    else this.#push(target, { code: JUMP, k: this.#distance(target) });
  }

  /** How many instructions a jump written now would skip. */
  #distance(target: Target): number {
    const place = this.#places.get(target);
    if (place === undefined) throw new Error('a jump to what is not written yet');
    return this.#backwards.length - place - 1;
  }

  #push(target: Target, instruction: Instruction): void {
    this.#places.set(target, this.#backwards.length);
    this.#backwards.push(instruction);
  }
}

const isHole = (ranges: readonly Range[], index: number): boolean => {
  const [before, range, after] = [ranges[index - 1], ranges[index], ranges[index + 1]];
  return range !== undefined && before?.to === after?.to && after?.from === range.from + 1;
};

/** The middle, or a place beside it that doesn't tear one number from the equal neighbours around it. */
function middleOf(ranges: readonly Range[]): number {
  const middle = ranges.length >> 1;
  const tears = (at: number): boolean => isHole(ranges, at) || isHole(ranges, at - 1);
  const near = [middle, middle - 1, middle + 1, middle - 2, middle + 2];
  return near.find((at) => at > 0 && at < ranges.length && !tears(at)) ?? middle;
}

/** The program as the bytes of an array of `struct sock_filter`, for a little-endian machine. */
export function assemble(decision: Decision): Uint8Array {
  const assembler = new Assembler();
  assembler.emit(decision);
  return assembler.bytes();
}
