/** Who may import whom. */
import { posix } from 'node:path';
import ts from 'typescript';
import { isTestPath, nodesOf, problemAt, type Source } from './source.js';

/** Entries of `src/`: each imports only from itself and from those before it. There is no list of exceptions. */
export const LAYERS: readonly string[] = [
  'core',
  'config',
  'observe',
  'store',
  'transport',
  'auth',
  'swarm',
  'engine',
  'triggers',
  'retention',
  'backup',
  'agent',
  'http',
  'compose',
  'compose.ts',
  'serve',
  'cli',
  'testing',
  'index.ts',
];

interface Import {
  readonly node: ts.Node;
  /** As written. */
  readonly specifier: string;
  readonly isType: boolean;
  /** `import()`: happens later, so it makes no cycle. */
  readonly isDynamic: boolean;
}

export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  for (const node of nodesOf(source.ast)) {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const isType = isTypeClause(node.importClause);
      found.push({ node, specifier: node.moduleSpecifier.text, isType, isDynamic: false });
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      const named =
        node.exportClause && ts.isNamedExports(node.exportClause) ? node.exportClause.elements : [];
      const isType = node.isTypeOnly || (named.length > 0 && named.every((element) => element.isTypeOnly));
      found.push({ node, specifier: node.moduleSpecifier.text, isType, isDynamic: false });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [to] = node.arguments;
      if (to && ts.isStringLiteral(to))
        found.push({ node, specifier: to.text, isType: false, isDynamic: true });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const { literal } = node.argument;
      if (ts.isStringLiteral(literal))
        found.push({ node, specifier: literal.text, isType: true, isDynamic: false });
    }
  }
  return found;
}

function isTypeClause(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const { name, namedBindings } = clause;
  if (name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.length > 0 && namedBindings.elements.every((element) => element.isTypeOnly);
}

/** Path of the imported file in the repository; null: a package. */
function targetOf(from: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}

function layerOf(path: string): number {
  const [root, entry] = path.split('/');
  return root === 'src' ? LAYERS.indexOf(entry ?? '') : -1;
}

/** Of published source only: a test puts parts together as it needs them. */
export function layerProblems(sources: readonly Source[]): string[] {
  const problems: string[] = [];
  for (const source of sources) {
    if (!source.path.startsWith('src/') || isTestPath(source.path)) continue;
    const own = layerOf(source.path);
    if (own === -1) problems.push(`${source.path}: stands in no layer`);
    for (const { node, specifier } of importsOf(source)) {
      const target = targetOf(source.path, specifier);
      if (target === null) continue;
      const layer = layerOf(target);
      if (isTestPath(target)) problems.push(problemAt(source, node, `imports the test file ${target}`));
      else if (layer === -1) problems.push(problemAt(source, node, `imports ${target} from outside \`src\``));
      else if (layer > own) {
        problems.push(
          problemAt(source, node, `imports upwards, from \`${LAYERS[own]}\` to \`${LAYERS[layer]}\``),
        );
      }
    }
  }
  return problems;
}

/** Files that import each other's values in a circle. */
export function cycleProblems(sources: readonly Source[]): string[] {
  const known = new Set(sources.map((source) => source.path));
  const edges = new Map<string, string[]>();
  for (const source of sources) {
    const targets = importsOf(source)
      .filter(({ isType, isDynamic }) => !isType && !isDynamic)
      .map(({ specifier }) => targetOf(source.path, specifier))
      .filter((target): target is string => target !== null && known.has(target));
    edges.set(source.path, targets);
  }
  const done = new Set<string>();
  const problems: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) problems.push(`imports in a circle: ${[...trail.slice(at), path].join(' -> ')}`);
    if (at !== -1 || done.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return problems;
}

/** The core knows no package, no Node and no waiting. */
export function coreProblems(sources: readonly Source[]): string[] {
  const problems: string[] = [];
  for (const source of sources) {
    if (!source.path.startsWith('src/core/') || isTestPath(source.path)) continue;
    for (const { node, specifier } of importsOf(source)) {
      if (targetOf(source.path, specifier) === null) {
        problems.push(problemAt(source, node, `the core imports the package \`${specifier}\``));
      }
    }
    for (const node of nodesOf(source.ast)) {
      const isWaiting = ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier);
      if (isWaiting) problems.push(problemAt(source, node, 'the core waits'));
    }
  }
  return problems;
}
