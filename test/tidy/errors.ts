/** The table of errors, its documentation, and the code: three times the same. */
import ts from 'typescript';
import { isTestPath, nodesOf, type Source } from './source.js';

export type ErrorTable = Readonly<Record<string, { readonly retry: boolean; readonly exit: number }>>;

export const ERROR_FILE = 'src/core/errors.ts';

/** `docs/errors.md` against the table: one section a code, with its figures, its cause and what to do. */
export function errorDocProblems(table: ErrorTable, text: string): string[] {
  const problems: string[] = [];
  const sections = new Map<string, string>();
  for (const section of text.split(/^### /m).slice(1)) {
    const code = /^`([a-z_]+)`\n/.exec(section)?.[1];
    if (code === undefined)
      problems.push(`docs/errors.md: the heading \`${section.split('\n')[0]}\` is no code`);
    else if (sections.has(code)) problems.push(`docs/errors.md: \`${code}\` is explained twice`);
    else sections.set(code, section);
  }
  for (const [code, { retry, exit }] of Object.entries(table)) {
    const section = sections.get(code);
    if (section === undefined) {
      problems.push(`docs/errors.md: \`${code}\` is not explained`);
      continue;
    }
    const figures = `Exit code ${exit}, ${retry ? 'retryable' : 'not retryable'}.`;
    if (!section.includes(figures)) problems.push(`docs/errors.md: \`${code}\` does not say "${figures}"`);
    for (const part of ['**Cause.**', '**What to do.**']) {
      if (!section.includes(part)) problems.push(`docs/errors.md: \`${code}\` has no ${part}`);
    }
  }
  for (const code of sections.keys()) {
    if (!(code in table)) problems.push(`docs/errors.md: \`${code}\` is not in the table`);
  }
  return problems;
}

/** Calls that give a code to something: `new VaporaError('…')`, `failure('…')`, `failedOutcome('…')`. */
const MAKER = /VaporaError|fail/i;

/** Codes of the table that nothing in the published source ever gives. */
export function unusedCodeProblems(table: ErrorTable, sources: readonly Source[]): string[] {
  const used = new Set<string>();
  for (const source of sources) {
    if (!source.path.startsWith('src/') || source.path === ERROR_FILE || isTestPath(source.path)) continue;
    for (const node of nodesOf(source.ast)) {
      if (ts.isStringLiteral(node) && isGiven(node)) used.add(node.text);
    }
  }
  return Object.keys(table)
    .filter((code) => !used.has(code))
    .map((code) => `${ERROR_FILE}: nothing gives the code \`${code}\``);
}

function isGiven(node: ts.StringLiteral): boolean {
  let parent: ts.Node = node.parent;
  while (ts.isConditionalExpression(parent) || ts.isParenthesizedExpression(parent)) parent = parent.parent;
  if (ts.isPropertyAssignment(parent)) return parent.name.getText() === 'code';
  if (!ts.isCallExpression(parent) && !ts.isNewExpression(parent)) return false;
  return MAKER.test(parent.expression.getText());
}
