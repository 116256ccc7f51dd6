/** What a run has come to, as text. */
import { cpus } from 'node:os';
import Table from 'cli-table3';
import type { Fault } from './check.js';
import type { EpisodeResult } from './episode.js';
import { POINTS } from './points.js';

const BORDERLESS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`, `${side}-mid`])
    .concat('middle', 'left-mid', 'mid-mid', 'right-mid')
    .map((name) => [name, '']),
);
/** Of tables: no lines and no colours, so that it can be searched and quoted. */
export const plain = {
  style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  chars: BORDERLESS,
};
const FAULTS: readonly Fault[] = ['loss', 'double', 'order', 'chain'];

/** Counts findings at the kills that happened while their instance was under way. */
export function report(results: readonly EpisodeResult[], run: { seconds: number; seed: string }): string {
  const rows = new Map<string, { kills: number; underWay: number; faults: Record<Fault, number> }>();
  for (const { kills, findings } of results) {
    for (const { at, underWay } of kills) {
      const row = rows.get(at) ?? {
        kills: 0,
        underWay: 0,
        faults: { loss: 0, double: 0, order: 0, chain: 0 },
      };
      rows.set(at, row);
      row.kills += 1;
      row.underWay += underWay.length;
      const here = new Set(underWay);
      for (const { fault, id } of findings) if (here.has(id)) row.faults[fault] += 1;
    }
  }
  const table = new Table({
    ...plain,
    head: [
      'killed',
      'kills',
      'instances under way',
      'losses',
      'double effects',
      'order violations',
      'broken chains',
    ],
    colAligns: ['left', ...Array.from({ length: 6 }, () => 'right' as const)],
  });
  for (const [at, { kills, underWay, faults }] of [...rows].sort(([a], [b]) => placeOf(a) - placeOf(b))) {
    table.push([at, kills, underWay, ...FAULTS.map((fault) => faults[fault])]);
  }
  return `${table.toString()}\n${totals(results, run)}`;
}

function placeOf(at: string): number {
  const index = POINTS.indexOf(at);
  return index === -1 ? POINTS.length : index;
}

function totals(
  results: readonly EpisodeResult[],
  { seconds, seed }: { seconds: number; seed: string },
): string {
  const sum = (count: (result: EpisodeResult) => number) =>
    results.reduce((all, result) => all + count(result), 0);
  const kills = results.flatMap((result) => result.kills);
  const faults = FAULTS.map((fault) =>
    sum(({ findings }) => findings.filter((finding) => finding.fault === fault).length),
  );
  const hit = new Set(kills.map(({ at }) => at));
  const unhit = POINTS.filter((point) => !hit.has(point));
  const [model] = cpus();
  return [
    `${kills.length} kills, ${sum(({ instances }) => instances)} instances, ${sum(({ events }) => events)} events, ${sum(({ attempts }) => attempts)} attempts`,
    `${faults[0]} losses, ${faults[1]} double effects, ${faults[2]} order violations, ${faults[3]} broken chains`,
    `${POINTS.length - unhit.length} of ${POINTS.length} named points hit${unhit.length > 0 && unhit.length < 20 ? `; not hit: ${unhit.join(', ')}` : ''}`,
    `seed ${seed}, ${seconds.toFixed(0)} s, ${cpus().length} cores, ${model?.model.trim() ?? ''}, Node ${process.versions.node}`,
    '',
  ].join('\n');
}
