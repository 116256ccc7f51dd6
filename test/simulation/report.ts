/** What is printed of the runs. */
import type { Counts, Coverage, Figures } from './coverage.js';
import type { EngineCode } from './engine-code.js';

export function printFigures(figures: Figures, tookMs: number): void {
  const { seeds, instances, commits, events, faults, processes, wishes, logs, prefixes } = figures;
  const seconds = tookMs / 1_000;
  const rate = Math.round((2 * instances) / seconds);
  console.log(
    [
      `${seeds} seeds, each run twice: ${seconds.toFixed(1)} s, ${rate} instances/s`,
      `${instances} instances, ${commits} commits, ${events} events`,
      `${processes} processes, ${faults} faults of the world, ${wishes} wishes of people, ${logs} logs read anew, ${prefixes} worlds begun anew`,
    ].join('\n'),
  );
}

export function printCoverage(coverage: Coverage, code: EngineCode, isFull: boolean): void {
  const { transitions, effects, faultPoints, wishes, ends } = coverage.data;
  const missing = coverage.missing(code);
  const hit = Object.keys(transitions).length;
  console.log(`transitions: ${hit} of ${hit + missing.length} legal ones hit`);
  for (const name of missing) console.log(`  not hit: ${name}`);
  for (const name of coverage.illegal(code)) console.log(`  NOT LEGAL: ${name}`);
  const rest = [
    ['effects', effects],
    ['fault points', faultPoints],
    ['wishes and their answers', wishes],
    ['ends', ends],
  ] as const;
  for (const [what, counts] of isFull ? ([['transitions', transitions], ...rest] as const) : rest) {
    printCounts(what, counts, isFull);
  }
}

function printCounts(what: string, counts: Counts, isFull: boolean): void {
  const entries = Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
  const sum = entries.reduce((total, [, count]) => total + count, 0);
  console.log(`${what}: ${entries.length} kinds, ${sum} times`);
  if (isFull) for (const [name, count] of entries) console.log(`  ${String(count).padStart(9)}  ${name}`);
}
