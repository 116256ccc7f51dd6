/** Gathers every problem of a document, so that users see all of them at once. */
import { type Place, type Problem, VaporaError } from '../core/errors.js';
import type { Origin } from './document.js';
import { formatPath, type KeyPath, nearest, quoted } from './text.js';

/** More than anybody fixes in one go; a hostile megabyte could hold a hundred thousand. */
const MAX_PROBLEMS = 100;

export interface Finding {
  readonly message: string;
  readonly path: KeyPath;
  readonly origin: Origin;
  readonly expected?: string | undefined;
  readonly hint?: string | undefined;
}

export class Report {
  readonly #file: string | null;
  readonly #errors: Problem[] = [];
  readonly #warnings: Problem[] = [];
  #errorCount = 0;

  /** `file` as the user named it; null for what was not read from a file. */
  constructor(file: string | null) {
    this.#file = file;
  }

  get errorCount(): number {
    return this.#errorCount;
  }

  get warnings(): readonly Problem[] {
    return [...this.#warnings].sort(byPlace);
  }

  error(finding: Finding): void {
    this.#errorCount += 1;
    if (this.#errors.length < MAX_PROBLEMS) this.#errors.push(this.#problem(finding, 'error'));
  }

  warn(finding: Finding): void {
    if (this.#warnings.length < MAX_PROBLEMS) this.#warnings.push(this.#problem(finding, 'warning'));
  }

  /** `did you mean …?`, or undefined. Comparing names is slow work, so it ends where no more problems are kept. */
  meant(text: string, candidates: Iterable<string>): string | undefined {
    if (this.#errors.length >= MAX_PROBLEMS) return undefined;
    return meantHint(text, candidates);
  }

  /** Throws `config_invalid` with all problems, errors first, if there is an error. */
  throwIfAny(what: string): void {
    if (this.#errorCount === 0) return;
    const problems = [...this.#errors].sort(byPlace);
    const more = this.#errorCount - problems.length;
    if (more > 0) problems.push({ message: `${more} more problems are not shown`, severity: 'error' });
    const count = this.#errorCount === 1 ? '1 problem' : `${this.#errorCount} problems`;
    throw new VaporaError('config_invalid', `${count} in ${what}`, {
      problems: [...problems, ...this.warnings],
    });
  }

  #problem(finding: Finding, severity: Problem['severity']): Problem {
    const place = placeOf(this.#file, finding.origin);
    const path = finding.path.length === 0 ? undefined : formatPath(finding.path);
    return Object.freeze({
      message: finding.message,
      ...(place === undefined ? {} : { place }),
      ...(path === undefined ? {} : { path }),
      ...(finding.expected === undefined ? {} : { expected: finding.expected }),
      ...(finding.hint === undefined ? {} : { hint: finding.hint }),
      severity,
    });
  }
}

export function placeOf(file: string | null, origin: Origin): Place | undefined {
  if (file === null || origin === null || !('line' in origin)) return undefined;
  return Object.freeze({ file, line: origin.line, column: origin.column });
}

export function meantHint(text: string, candidates: Iterable<string>): string | undefined {
  const name = nearest(text, candidates);
  return name === undefined ? undefined : `did you mean ${quoted(name)}?`;
}

/** ``workflows.toml:14:11: stage `deploy` names unknown agent role `devop` (did you mean `devops`?)`` */
export function formatProblem(problem: Problem): string {
  const { place } = problem;
  const where = place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `;
  const expected = problem.expected === undefined ? '' : `, expected ${problem.expected}`;
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  return `${where}${problem.message}${expected}${hint}`;
}

function byPlace(a: Problem, b: Problem): number {
  if (a.place === undefined || b.place === undefined) {
    return Number(a.place !== undefined) - Number(b.place !== undefined);
  }
  return a.place.line - b.place.line || a.place.column - b.place.column;
}
