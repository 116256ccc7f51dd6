/**
 * Cuts a file into policies and makes each safe for Cedar's evaluator, which recurses on the machine's stack and is broken for good
 * once it runs out of it.
 */
import { type Token, tokenize } from './lexer.js';

/**
 * Levels of nesting that a policy may have: brackets, and operators that apply to each other's results.
 * Measured: the evaluator traps from about 75 nested parentheses on, once its code is optimized; half of the stack may be in use.
 */
export const MAX_DEPTH = 48;

/** Operands of `&&` or `||` that stay side by side; more are grouped, see {@link flatten}. */
const CHAIN = 4;

export interface PolicyPiece {
  /** Offset of the first token in the file. */
  readonly start: number;
  /** As written, from the first token to the `;`. */
  readonly text: string;
  /** Annotations and scope only, made a policy of its own; null where the text has no such beginning. */
  readonly head: string | null;
  readonly tokens: readonly Token[];
}

/** The policies of a file. A `;` can't be within one, except in strings and comments. */
export function splitPolicies(fileText: string): readonly PolicyPiece[] {
  const pieces: PolicyPiece[] = [];
  let tokens: Token[] = [];
  const cut = () => {
    const first = tokens[0];
    const last = tokens.at(-1);
    if (first === undefined || last === undefined) return;
    const text = fileText.slice(first.start, last.end);
    const own = tokens.map((token) => ({
      ...token,
      start: token.start - first.start,
      end: token.end - first.start,
    }));
    pieces.push({ start: first.start, text, head: headOf(text, own), tokens: own });
    tokens = [];
  };
  for (const token of tokenize(fileText)) {
    tokens.push(token);
    if (token.text === ';') cut();
  }
  cut();
  return pieces;
}

function headOf(text: string, tokens: readonly Token[]): string | null {
  let depth = 0;
  let isScope = false;
  for (const [at, token] of tokens.entries()) {
    if (token.text === '(') {
      if (depth === 0) isScope = tokens[at - 2]?.text !== '@';
      depth++;
    } else if (token.text === ')') {
      depth--;
      if (depth === 0 && isScope) return `${text.slice(0, token.end)};`;
    }
  }
  return null;
}

export interface FlatPolicy {
  readonly text: string;
  /** Upper bound of the nesting of `text`. */
  readonly depth: number;
  /** Offset in the written policy for one in `text`. */
  readonly originalOffset: (offset: number) => number;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** What is known of the innermost open bracket. */
interface Frame {
  /** Finished operands of the current `&&` chain, and finished chains of the current `||`. */
  ands: Span[];
  ors: Span[];
  operand: { start: number; end: number } | null;
  /** Operators in the operand, and the height of the brackets in it. */
  operators: number;
  inner: number;
  /** Height of the operands finished in this expression. */
  operandHeight: number;
  /** `if`s around the expression: `else if` goes one deeper each time. */
  ifs: number;
  /** Height of the expressions finished in this bracket. */
  height: number;
}

const newFrame = (): Frame => ({
  ands: [],
  ors: [],
  operand: null,
  operators: 0,
  inner: 0,
  operandHeight: 0,
  ifs: 0,
  height: 0,
});

const OPENING = new Set(['(', '[', '{']);
const CLOSING = new Set([')', ']', '}']);
const WORD_OPERATORS = new Set(['in', 'has', 'like', 'is']);
const EXPRESSION_ENDS = new Set([',', ':', ';', 'then', 'else']);

/**
 * The same policy with long chains of `&&` and `||` grouped by parentheses. Both are associative, errors and short cuts included,
 * but Cedar nests a chain of 200 clauses 200 deep, and traps on it once its code is optimized: a policy that worked would then deny.
 */
export function flatten(piece: PolicyPiece): FlatPolicy {
  const insertions: { at: number; mark: '(' | ')' }[] = [];
  const wrap = (span: Span) => {
    insertions.push({ at: span.start, mark: '(' }, { at: span.end, mark: ')' });
  };
  const frames: Frame[] = [newFrame()];
  const top = (): Frame => frames.at(-1) ?? newFrame();
  let clauses = 0;
  const closeBracket = (end: number) => {
    const closed = frames.pop() ?? newFrame();
    endExpression(closed, wrap);
    const outer = top();
    outer.inner = Math.max(outer.inner, closed.height + 1);
    if (outer.operand !== null) outer.operand.end = end;
  };
  for (const token of piece.tokens) {
    const frame = top();
    if (token.kind === 'word' && (token.text === 'when' || token.text === 'unless') && frames.length === 1) {
      clauses++;
    }
    if (CLOSING.has(token.text)) {
      if (frames.length > 1) closeBracket(token.end);
    } else if (EXPRESSION_ENDS.has(token.text)) {
      endExpression(frame, wrap);
      if (token.text === ',') frame.ifs = 0;
    } else if (token.text === 'if') {
      frame.ands = [];
      frame.ors = [];
      frame.operand = null;
      frame.ifs++;
    } else if (token.text === '&&') {
      endOperand(frame);
    } else if (token.text === '||') {
      endChain(frame, wrap);
    } else {
      frame.operand ??= { start: token.start, end: token.end };
      frame.operand.end = token.end;
      if (isOperator(token)) frame.operators++;
      if (OPENING.has(token.text)) frames.push(newFrame());
    }
  }
  while (frames.length > 1) closeBracket(piece.text.length);
  const outermost = top();
  endExpression(outermost, () => {});
  insertions.sort((a, b) => a.at - b.at);
  return { ...insert(piece.text, insertions), depth: outermost.height + clauses };
}

function isOperator(token: Token): boolean {
  if (token.kind === 'word') return WORD_OPERATORS.has(token.text);
  return token.kind === 'mark' && !OPENING.has(token.text) && token.text !== '::' && token.text !== '@';
}

function endOperand(frame: Frame): void {
  if (frame.operand !== null) frame.ands.push(frame.operand);
  frame.operandHeight = Math.max(frame.operandHeight, frame.operators + frame.inner);
  frame.operand = null;
  frame.operators = 0;
  frame.inner = 0;
}

function endChain(frame: Frame, wrap: (span: Span) => void): void {
  endOperand(frame);
  const first = frame.ands[0];
  const last = frame.ands.at(-1);
  frame.operandHeight += group(frame.ands, wrap);
  if (first !== undefined && last !== undefined) frame.ors.push({ start: first.start, end: last.end });
  frame.ands = [];
}

function endExpression(frame: Frame, wrap: (span: Span) => void): void {
  endChain(frame, wrap);
  frame.operandHeight += group(frame.ors, wrap);
  frame.height = Math.max(frame.height, frame.operandHeight + frame.ifs);
  frame.ors = [];
  frame.operandHeight = 0;
}

/** Groups the operands of a chain until few are left side by side; answers by how much the chain nests. */
function group(operands: readonly Span[], wrap: (span: Span) => void): number {
  let spans = operands;
  let depth = 0;
  while (spans.length > CHAIN) {
    const next: Span[] = [];
    for (let at = 0; at < spans.length; at += CHAIN) {
      const some = spans.slice(at, at + CHAIN);
      const first = some[0];
      const last = some.at(-1);
      if (first === undefined || last === undefined) continue;
      const span = { start: first.start, end: last.end };
      if (some.length > 1) wrap(span);
      next.push(span);
    }
    spans = next;
    depth += CHAIN;
  }
  return depth + Math.max(0, spans.length - 1);
}

function insert(
  text: string,
  insertions: readonly { at: number; mark: string }[],
): Pick<FlatPolicy, 'text' | 'originalOffset'> {
  let result = '';
  let from = 0;
  for (const { at, mark } of insertions) {
    result += text.slice(from, at) + mark;
    from = at;
  }
  result += text.slice(from);
  const originalOffset = (offset: number) => {
    let inserted = 0;
    for (const { at } of insertions) {
      if (at + inserted >= offset) break;
      inserted++;
    }
    return offset - inserted;
  };
  return { text: result, originalOffset };
}
