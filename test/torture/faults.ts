/** All scenarios beside kills, one after the other. */
import { join } from 'node:path';
import Table from 'cli-table3';
import { DAMAGE_FAULTS } from './fault-damage.js';
import { DISK_FAULTS } from './fault-disk.js';
import { TIME_FAULTS } from './fault-time.js';
import { plain } from './report.js';
import type { Scenario } from './scenario.js';

export const SCENARIOS: readonly Scenario[] = [...DISK_FAULTS, ...TIME_FAULTS, ...DAMAGE_FAULTS];

/** Prints what was seen; answers whether everything was as it must be. `names`: only these. */
export async function runFaults(names: readonly string[], root: string, seed: string): Promise<boolean> {
  const unknown = names.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown.length > 0) {
    throw new Error(`there is no \`${unknown[0]}\` among ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  }
  const table = new Table({
    ...plain,
    head: ['fault', 'instances', 'findings', 'seen'],
    colAligns: ['left', 'right', 'right', 'left'],
  });
  let isClean = true;
  for (const { name, obstacle, run } of SCENARIOS) {
    if (names.length > 0 && !names.includes(name)) continue;
    const why = obstacle();
    if (why !== null) {
      table.push([name, '-', '-', `not tried: ${why}`]);
      continue;
    }
    process.stderr.write(`${name} …\n`);
    const { instances, findings, seen } = await run({ directory: join(root, name), seed: `${seed}/${name}` });
    for (const { fault, id, message } of findings.slice(0, 20))
      process.stderr.write(`  ${fault} ${id}: ${message}\n`);
    table.push([name, instances, findings.length, seen]);
    isClean &&= findings.length === 0;
  }
  process.stdout.write(`${table.toString()}\nseed ${seed}\n`);
  return isClean;
}
