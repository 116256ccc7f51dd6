/** `npm run torture`: what was asked for, done and counted. Exit code 1 where anything was lost, doubled or out of order. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Episode, type EpisodeResult } from './episode.js';
import { runFaults } from './faults.js';
import { report } from './report.js';
import { soak } from './soak.js';

const KILLS_PER_EPISODE = 40;
const HELP = `Usage: npm run torture -- [--kills N] [--instances N] [--seed S] [--jobs N] [--keep]

  --kills N       processes to be killed (default 60)
  --instances N   workflow instances in all (default 100 for each kill)
  --seed S        of the plan; the same seed kills at the same points (default: the time)
  --jobs N        stores side by side (default 2)
  --faults        instead of kills: full and failing disks, damaged files, engines that stand still, clocks that jump
  --fault NAME    only this one of them; may be repeated
  --soak MINUTES  instead of kills in a row: a steady load with a kill now and then, and what it takes
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '60' },
      instances: { type: 'string' },
      seed: { type: 'string', default: String(Date.now()) },
      jobs: { type: 'string', default: '2' },
      faults: { type: 'boolean', default: false },
      fault: { type: 'string', multiple: true, default: [] },
      soak: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [kills, jobs] = [Number(values.kills), Number(values.jobs)];
  const instances = Number(values.instances ?? kills * 100);
  const root = mkdtempSync(join(tmpdir(), 'vapora-torture-'));
  if (values.faults || values.fault.length > 0) {
    const isClean = await runFaults(values.fault, root, values.seed);
    return conclude(isClean, root);
  }
  if (values.soak !== undefined) {
    return conclude(await soak(Number(values.soak), join(root, 'soak'), values.seed), root);
  }
  const began = performance.now();
  const results = await runEpisodes({ kills, jobs, instances, seed: values.seed, root });
  const isClean = results.every(({ findings }) => findings.length === 0);
  process.stdout.write(report(results, { seconds: (performance.now() - began) / 1000, seed: values.seed }));
  return conclude(isClean, root);
}

function conclude(isClean: boolean, root: string): number {
  if (isClean) rmSync(root, { recursive: true, force: true });
  else process.stdout.write(`stores, ledgers and notes are in ${root}\n`);
  return isClean ? 0 : 1;
}

interface Wanted {
  readonly kills: number;
  readonly jobs: number;
  readonly instances: number;
  readonly seed: string;
  readonly root: string;
}

async function runEpisodes({ kills, jobs, instances, seed, root }: Wanted): Promise<EpisodeResult[]> {
  const count = Math.max(1, Math.ceil(kills / KILLS_PER_EPISODE));
  const plans = Array.from({ length: count }, (_, number) => {
    const killsHere = Math.floor((kills * (number + 1)) / count) - Math.floor((kills * number) / count);
    const instancesPerKill = Math.ceil(instances / count / (killsHere + 1));
    return { number, seed, directory: join(root, `episode-${number}`), kills: killsHere, instancesPerKill };
  });
  const results: EpisodeResult[] = [];
  const line = async () => {
    for (let plan = plans.shift(); plan !== undefined; plan = plans.shift()) {
      const result = await new Episode(plan).run();
      results.push(result);
      const { instances: ran, findings } = result;
      process.stderr.write(
        `episode ${plan.number}: ${plan.kills} kills, ${ran} instances, ${findings.length} findings\n`,
      );
      if (result.missed.length > 0) process.stderr.write(`  not reached: ${result.missed.join(', ')}\n`);
      for (const finding of findings.slice(0, 20))
        process.stderr.write(`  ${finding.fault} ${finding.id}: ${finding.message}\n`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, line));
  return results;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(2);
  },
);
