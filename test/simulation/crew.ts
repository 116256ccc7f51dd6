/** Threads that share the work. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Folders } from './broken.js';
import type { Answer, Job } from './worker.js';

/** Most of a world is garbage soon: with room for several of them, little of it is ever copied. */
const YOUNG_MB = 96;

/** Does the jobs on so many threads; `onAnswer` answers whether to go on. */
export async function workOff(
  folders: Folders,
  threads: number,
  jobs: Iterator<Job>,
  onAnswer: (answer: Answer) => boolean,
): Promise<void> {
  let isGoingOn = true;
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(pathToFileURL(join(folders.made, 'worker.js')), {
        workerData: folders,
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
      });
      const next = () => {
        const { value, done } = isGoingOn ? jobs.next() : { value: undefined, done: true };
        if (done || value === undefined) worker.terminate().then(() => resolve(), reject);
        else worker.postMessage(value);
      };
      worker.on('message', (answer: Answer) => {
        isGoingOn = onAnswer(answer) && isGoingOn;
        next();
      });
      worker.on('error', reject);
      next();
    });
  await Promise.all(Array.from({ length: threads }, work));
}
