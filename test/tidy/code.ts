/** What may not stand in a file: ways around the type checker, time and chance, too much of anything. */
import ts from 'typescript';
import { isTestPath, nodesOf, problemAt, type Source } from './source.js';

export const MAX_FILE_LINES = 400;
export const MAX_FUNCTION_LINES = 60;
/** The one file of the source that asks the machine for time and chance. */
export const CLOCK_FILE = 'src/engine/clock.ts';

/** In two parts, so that this file does not hold what it looks for. */
const SILENCERS = [
  ['@ts', 'ignore'],
  ['@ts', 'nocheck'],
  ['biome', 'ignore'],
  ['eslint', 'disable'],
].map((parts) => parts.join('-'));

export function escapeProblems(source: Source): string[] {
  const problems: string[] = [];
  for (const node of nodesOf(source.ast)) {
    if (node.kind === ts.SyntaxKind.AnyKeyword) problems.push(problemAt(source, node, 'uses `any`'));
    if (ts.isNonNullExpression(node)) problems.push(problemAt(source, node, 'asserts with `!`'));
    const isDefinite = ts.isPropertyDeclaration(node) || ts.isVariableDeclaration(node);
    if (isDefinite && node.exclamationToken) problems.push(problemAt(source, node, 'asserts with `!`'));
  }
  for (const [index, line] of source.text.split('\n').entries()) {
    const silencer = SILENCERS.find((word) => line.includes(word));
    if (silencer !== undefined)
      problems.push(`${source.path}:${index + 1}: silences a check with \`${silencer}\``);
  }
  return problems;
}

const TIMERS = new Set(['setTimeout', 'setInterval', 'setImmediate']);
const CLOCKS = new Set(['Date.now', 'Math.random', 'performance.now']);

/** Of published source only: tests may look at the clock. */
export function timeProblems(source: Source): string[] {
  const { path } = source;
  if (!path.startsWith('src/') || path === CLOCK_FILE || isTestPath(path)) return [];
  const problems: string[] = [];
  for (const node of nodesOf(source.ast)) {
    if (ts.isPropertyAccessExpression(node) && CLOCKS.has(node.getText())) {
      problems.push(problemAt(source, node, `uses \`${node.getText()}\` outside the clock`));
    }
    if (ts.isIdentifier(node) && TIMERS.has(node.text)) {
      problems.push(problemAt(source, node, `uses \`${node.text}\` outside the clock`));
    }
    const isDate = ts.isNewExpression(node) && node.expression.getText() === 'Date';
    if (isDate && (node.arguments ?? []).length === 0) {
      problems.push(problemAt(source, node, 'uses `new Date()` outside the clock'));
    }
    const isTimerModule = ts.isStringLiteral(node) && /^(node:)?timers(\/promises)?$/.test(node.text);
    if (isTimerModule) problems.push(problemAt(source, node, 'uses timers outside the clock'));
  }
  return problems;
}

export function sizeProblems(source: Source): string[] {
  const lines = source.text.replace(/\n$/, '').split('\n').length;
  const problems: string[] = [];
  if (lines > MAX_FILE_LINES)
    problems.push(`${source.path}: has ${lines} lines, more than ${MAX_FILE_LINES}`);
  for (const node of nodesOf(source.ast)) {
    if (!isFunction(node) || (isTestPath(source.path) && isGroupOfTests(node))) continue;
    const count = lineOf(source, node.getEnd()) - lineOf(source, node.getStart(source.ast)) + 1;
    if (count <= MAX_FUNCTION_LINES) continue;
    problems.push(problemAt(source, node, `a function of ${count} lines, more than ${MAX_FUNCTION_LINES}`));
  }
  return problems;
}

function lineOf(source: Source, position: number): number {
  return source.ast.getLineAndCharacterOfPosition(position).line;
}

function isFunction(node: ts.Node): node is ts.FunctionLikeDeclaration {
  return ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;
}

/** A test, a group of tests, or a function that defines some: as long as what it lists. */
function isGroupOfTests(node: ts.FunctionLikeDeclaration): boolean {
  const { parent } = node;
  if (ts.isCallExpression(parent) && isTestCall(parent)) return true;
  const statements = node.body && ts.isBlock(node.body) ? node.body.statements : [];
  return statements.some(
    (statement) =>
      ts.isExpressionStatement(statement) &&
      ts.isCallExpression(statement.expression) &&
      isTestCall(statement.expression),
  );
}

function isTestCall(call: ts.CallExpression): boolean {
  return /^(describe|it|test)\b/.test(call.expression.getText());
}
