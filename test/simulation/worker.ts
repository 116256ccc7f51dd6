/** One of several threads that run seeds or variants: told what to do, it answers what came of it. */

import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { type Caught, catchVariant, type Folders } from './broken.js';
import { Coverage, type CoverageData } from './coverage.js';
import { loadEngine } from './engine-code.js';
import { makeScenario } from './generate.js';
import { checkScenario } from './run.js';
import type { Variant } from './variants.js';

export type Job =
  | { readonly kind: 'seeds'; readonly from: number; readonly count: number }
  | { readonly kind: 'variant'; readonly variant: Variant; readonly from: number; readonly most: number };

export interface Failed {
  readonly seed: number;
  readonly violation: string;
}
export type Answer =
  | { readonly kind: 'seeds'; readonly coverage: CoverageData; readonly failed: readonly Failed[] }
  | { readonly kind: 'variant'; readonly caught: Caught };

const folders = workerData as Folders;
const code = await loadEngine(`${pathToFileURL(folders.dist).href}/`);

async function runSeeds(from: number, count: number): Promise<Answer> {
  const coverage = new Coverage();
  const failed: Failed[] = [];
  for (let seed = from; seed < from + count; seed += 1) {
    const result = await checkScenario(code, makeScenario(seed));
    coverage.merge(result.coverage);
    coverage.data.figures.seeds += 1;
    if (result.violation !== null) failed.push({ seed, violation: result.violation });
    // the collector and the other thread's messages want a turn
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { kind: 'seeds', coverage: coverage.data, failed };
}

parentPort?.on('message', (job: Job) => {
  const answer =
    job.kind === 'seeds'
      ? runSeeds(job.from, job.count)
      : catchVariant(folders, job.variant, job.from, job.most).then(
          (caught): Answer => ({ kind: 'variant', caught }),
        );
  answer.then(
    (words) => parentPort?.postMessage(words),
    // an error in a thread's handler ends the thread, and the thread's end is told
    (error: unknown) => setImmediate(() => Promise.reject(error)),
  );
});
