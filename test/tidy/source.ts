/** The repository's files as the house rules look at them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A file by its path in the repository, with `/`. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

export interface Source extends TextFile {
  readonly ast: ts.SourceFile;
}

/** Paths of all tracked files that are there. */
export function trackedPaths(): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' });
  return listed.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)));
}

export function readText(path: string): TextFile {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

export function parseSource(path: string, text: string): Source {
  return { path, text, ast: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true) };
}

/** Tests and suites: what is never published. They may do more than the source may. */
export function isTestPath(path: string): boolean {
  return /\.(test|suite)\.ts$/.test(path) || path.startsWith('test/');
}

/** `src/core/a.ts:12: message`: how every check words what it found. */
export function problemAt(source: Source, node: ts.Node, message: string): string {
  const { line } = source.ast.getLineAndCharacterOfPosition(node.getStart(source.ast));
  return `${source.path}:${line + 1}: ${message}`;
}

/** All nodes of the file, outer ones first. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of node.getChildren()) yield* nodesOf(child);
}
