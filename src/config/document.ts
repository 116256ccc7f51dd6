/** TOML text, or a definition written in TypeScript, as a tree whose keys and values know where they stand. */
import { type AST, ParseError, parseTOML } from 'toml-eslint-parser';
import type { Report } from './report.js';
import { findExcess, MAX_DEPTH, MAX_STRING_LENGTH, positionOf } from './scan.js';
import type { KeyPath } from './text.js';

/** From 1; columns count UTF-16 units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Where a value was written: in the file, in an environment variable, or (null) in a program. */
export type Origin = Position | { readonly variable: string } | null;

export interface TableNode {
  readonly kind: 'table';
  readonly origin: Origin;
  readonly entries: Map<string, { readonly origin: Origin; readonly value: DocumentNode }>;
}
export interface ListNode {
  readonly kind: 'list';
  readonly origin: Origin;
  readonly items: DocumentNode[];
}
export type ScalarNode = { readonly origin: Origin } & (
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  /** A date, or in a definition whatever TOML has no word for. */
  | { readonly kind: 'other'; readonly text: string }
);
export type DocumentNode = TableNode | ListNode | ScalarNode;

export function emptyTable(origin: Origin): TableNode {
  return { kind: 'table', origin, entries: new Map() };
}

/** The document's root table, or null when it is no TOML: then `report` has the reason. */
export function parseDocument(source: string, report: Report): TableNode | null {
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source;
  const excess = findExcess(text);
  if (excess !== null) {
    const message =
      excess.what === 'depth'
        ? `values are nested more than ${MAX_DEPTH} deep`
        : `a string is longer than ${MAX_STRING_LENGTH} characters`;
    report.error({ message, path: [], origin: excess.position });
    return null;
  }
  try {
    return treeOf(parseTOML(text, { tomlVersion: '1.0' }), report);
  } catch (error) {
    if (error instanceof ParseError) report.error(syntaxFinding(error, text));
    // A stack that is too small for what the scan let pass: bad input all the same.
    else if (error instanceof RangeError) {
      report.error({
        message: 'the text is nested too deep or too long to be read',
        path: [],
        origin: { line: 1, column: 1 },
      });
    } else throw error;
    return null;
  }
}

function syntaxFinding(error: ParseError, text: string) {
  // At the end of the text the parser points behind the last line break, where there is nothing to see.
  const end = text.trimEnd().length;
  const origin = error.index > end && end > 0 ? positionOf(text, end) : positionOf(text, error.index);
  const reason = error.message.charAt(0).toLowerCase() + error.message.slice(1);
  return { message: `the text is not TOML: ${reason}`, path: [], origin };
}

function treeOf(program: AST.TOMLProgram, report: Report): TableNode {
  const root = emptyTable({ line: 1, column: 1 });
  for (const part of program.body[0].body) {
    if (part.type === 'TOMLKeyValue') addKeyValue(root, part, [], report);
    else {
      const table = tableFor(root, part, report);
      if (table === null) continue;
      for (const pair of part.body) addKeyValue(table, pair, part.resolvedKey, report);
    }
  }
  return root;
}

/** The table that a `[header]` or `[[header]]` opens. */
function tableFor(root: TableNode, header: AST.TOMLTable, report: Report): TableNode | null {
  const keys = header.key.keys;
  if (keys.length > MAX_DEPTH) return tooDeep(report, positionAt(header), []);
  let table = root;
  for (const [index, key] of keys.entries()) {
    const isLast = index === keys.length - 1;
    const name = nameOf(key);
    const origin = positionAt(isLast ? header : key);
    const found = table.entries.get(name)?.value;
    if (found === undefined) {
      const next = emptyTable(origin);
      const value: DocumentNode =
        isLast && header.kind === 'array' ? { kind: 'list', origin, items: [next] } : next;
      table.entries.set(name, { origin: positionAt(key), value });
      table = next;
    } else if (found.kind === 'list' && isLast) {
      const next = emptyTable(origin);
      found.items.push(next);
      table = next;
    } else {
      const inner = found.kind === 'list' ? found.items.at(-1) : found;
      if (inner?.kind !== 'table') return writtenTwice(report, positionAt(key));
      table = inner;
    }
  }
  return table;
}

function addKeyValue(target: TableNode, pair: AST.TOMLKeyValue, path: KeyPath, report: Report): void {
  const keys = pair.key.keys;
  if (path.length + keys.length > MAX_DEPTH) {
    tooDeep(report, positionAt(pair), path);
    return;
  }
  let table = target;
  for (const key of keys.slice(0, -1)) {
    const name = nameOf(key);
    const next = table.entries.get(name)?.value ?? emptyTable(positionAt(key));
    if (next.kind !== 'table') {
      writtenTwice(report, positionAt(key));
      return;
    }
    if (!table.entries.has(name)) table.entries.set(name, { origin: positionAt(key), value: next });
    table = next;
  }
  const last = keys.at(-1);
  if (last === undefined) return;
  const value = nodeOf(pair.value, [...path, ...keys.map(nameOf)], report);
  if (value !== null) table.entries.set(nameOf(last), { origin: positionAt(last), value });
}

function nodeOf(content: AST.TOMLContentNode, path: KeyPath, report: Report): DocumentNode | null {
  const origin = positionAt(content);
  if (path.length > MAX_DEPTH) return tooDeep(report, origin, []);
  if (content.type === 'TOMLArray') {
    const items = content.elements.map((element, index) => nodeOf(element, [...path, index], report));
    return { kind: 'list', origin, items: items.filter((item) => item !== null) };
  }
  if (content.type === 'TOMLInlineTable') {
    const table = emptyTable(origin);
    for (const pair of content.body) addKeyValue(table, pair, path, report);
    return table;
  }
  switch (content.kind) {
    case 'string':
      return { kind: 'string', origin, value: content.value };
    case 'boolean':
      return { kind: 'boolean', origin, value: content.value };
    case 'integer':
    case 'float':
      return { kind: 'number', origin, value: content.value, text: content.number };
    default:
      return { kind: 'other', origin, text: 'a date or time' };
  }
}

function tooDeep(report: Report, origin: Origin, path: KeyPath): null {
  report.error({ message: `values are nested more than ${MAX_DEPTH} deep`, path, origin });
  return null;
}

function writtenTwice(report: Report, origin: Origin): null {
  report.error({ message: 'the text is not TOML: a key is defined twice', path: [], origin });
  return null;
}

function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === 'TOMLBare' ? key.name : key.value;
}

function positionAt(node: { loc: { start: { line: number; column: number } } }): Position {
  return { line: node.loc.start.line, column: node.loc.start.column + 1 };
}

/** A JavaScript value as a document. What TOML can't say becomes an `other` node, which no key accepts. */
export function documentOf(value: unknown, depth = 0): DocumentNode {
  const origin = null;
  if (depth > MAX_DEPTH) return { kind: 'other', origin, text: `nested more than ${MAX_DEPTH} deep` };
  if (typeof value === 'string') return { kind: 'string', origin, value };
  if (typeof value === 'boolean') return { kind: 'boolean', origin, value };
  if (typeof value === 'number') return { kind: 'number', origin, value, text: String(value) };
  if (Array.isArray(value)) {
    return { kind: 'list', origin, items: value.map((item) => documentOf(item, depth + 1)) };
  }
  if (typeof value === 'object' && value !== null && isPlain(value)) {
    const table = emptyTable(origin);
    for (const [key, inner] of Object.entries(value)) {
      if (inner !== undefined) table.entries.set(key, { origin, value: documentOf(inner, depth + 1) });
    }
    return table;
  }
  return { kind: 'other', origin, text: value === null ? 'null' : `a ${typeof value}` };
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** The node at a path, its key's origin beside it; undefined where there is nothing. */
export function findNode(root: DocumentNode, path: KeyPath): { key: Origin; node: DocumentNode } | undefined {
  let node = root;
  let key = root.origin;
  for (const step of path) {
    if (typeof step === 'number') {
      const item = node.kind === 'list' ? node.items[step] : undefined;
      if (item === undefined) return undefined;
      node = item;
      key = item.origin;
    } else {
      const entry = node.kind === 'table' ? node.entries.get(step) : undefined;
      if (entry === undefined) return undefined;
      node = entry.value;
      key = entry.origin;
    }
  }
  return { key, node };
}

/** The text at a path; undefined where there is none. */
export function textAt(root: DocumentNode, path: KeyPath): string | undefined {
  const node = findNode(root, path)?.node;
  return node?.kind === 'string' ? node.value : undefined;
}

/** Where a value stands, or the nearest thing around it that is there. */
export function originOf(root: DocumentNode, path: KeyPath): Origin {
  for (let length = path.length; length >= 0; length -= 1) {
    const found = findNode(root, path.slice(0, length));
    if (found !== undefined) return found.node.origin;
  }
  return root.origin;
}
