// One scenario at one concurrency, in a process of its own: prints one JSON line.
import { rm } from 'node:fs/promises';
import { diskBytes, makeDirectory } from './disk.mjs';
import { cpuMicros, cpuMicrosSince } from './threads.mjs';
import { ENDS, INITIATOR, median, open, peakMemoryMb, percentile } from './workload.mjs';

const [workflow, inFlightText, secondsText] = process.argv.slice(2);
const inFlight = Number(inFlightText);
// until the compiler has seen everything
const WARM_UP_SECONDS = 3;
const at = await makeDirectory();
const engine = await open(at);
let isFailed = false;
engine.failed.then(() => {
  isFailed = true;
});

/** Answers after how many milliseconds its start was acknowledged. */
async function one() {
  const began = performance.now();
  const { id } = await engine.api.start({ workflow, input: { n: 1 }, initiator: INITIATOR });
  const startedMs = performance.now() - began;
  const { status } = await engine.api.untilRest(id);
  if (status !== ENDS[workflow] || isFailed) throw new Error(`${workflow} ended ${status}`);
  return startedMs;
}

/** Runs for a while; latencies in milliseconds. */
async function load(seconds) {
  const latencies = [];
  const starts = [];
  const began = performance.now();
  const line = async () => {
    while (performance.now() - began < seconds * 1000) {
      const start = performance.now();
      starts.push(await one());
      latencies.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, line));
  return { latencies: latencies.sort((a, b) => a - b), starts, ms: performance.now() - began };
}

await load(WARM_UP_SECONDS);
const before = engine.store.statistics();
const cpuBefore = cpuMicros();
const { latencies, starts, ms } = await load(Number(secondsText));
await engine.store.writeOut();
const after = engine.store.statistics();
const spent = cpuMicrosSince(cpuBefore, latencies.length);
const written = Object.fromEntries(Object.keys(after).map((key) => [key, after[key] - before[key]]));
const total = after.instances;
await engine.close();
const result = {
  workflow,
  inFlight,
  workflows: latencies.length,
  perSecond: (latencies.length / ms) * 1000,
  p50: percentile(latencies, 0.5),
  p99: percentile(latencies, 0.99),
  startedP50: median(starts),
  written,
  cpuMicros: spent,
  peakMemoryMb: peakMemoryMb(),
  diskBytesPerWorkflow: (await diskBytes(at)) / total,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
await rm(at, { recursive: true, force: true });
process.exit(0);
