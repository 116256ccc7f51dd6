// Instances that are there when an engine is opened: how long until all go on, and what they cost in memory.
import { spawnSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { makeDirectory } from './disk.mjs';
import { fill, open, peakMemoryMb } from './workload.mjs';

const [workflow, countText, age, phase, given] = process.argv.slice(2);
const count = Number(countText);

if (phase === 'fill') {
  const engine = await open(given);
  await fill(engine, workflow, count);
  // what has been there for more than a few seconds is written out; what has just been started is in the journal alone
  if (age === 'settled') await engine.store.writeOut();
  // as after a crash: nothing is closed
  process.kill(process.pid, 'SIGKILL');
}

const at = await makeDirectory();
const self = fileURLToPath(import.meta.url);
const { signal } = spawnSync(process.execPath, [self, workflow, countText, age, 'fill', at], {
  stdio: 'inherit',
});
if (signal !== 'SIGKILL') throw new Error('the filling process did not get to its end');

const began = performance.now();
const engine = await open(at);
const openedMs = performance.now() - began;
let dispatched = 0;
let firstMs = null;
let done;
const all = new Promise((resolve) => {
  done = resolve;
});
engine.api.subscribe((notice) => {
  if (notice.kind !== 'event' || notice.event.type !== 'task_dispatched') return;
  firstMs ??= performance.now() - began;
  dispatched += 1;
  if (dispatched === count) done();
});
const recovered = await engine.recover();
const recoveredMs = performance.now() - began;
if (workflow === 'active') await all;
const ms = performance.now() - began;
// what waits for a person is left where it is
const expected = workflow === 'active' ? count : 0;
if (recovered !== expected) throw new Error(`${recovered} of ${expected} instances were recovered`);
// at rest: everything is written out, and what was needed for reading is let go
await engine.store.writeOut();
await new Promise((resolve) => setTimeout(resolve, 500));
const result = {
  workflow,
  count,
  openedMs,
  firstMs,
  recoveredMs,
  ms,
  memoryMb: process.memoryUsage.rss() / 2 ** 20,
  peakMemoryMb: peakMemoryMb(),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
await rm(at, { recursive: true, force: true });
process.exit(0);
