// What the command line takes, from its start to its end, on a store of so many instances. Prints one JSON line.
// `node bench/cli.mjs [INSTANCES]`
import { spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDirectory } from './disk.mjs';
import { fill, median, open } from './workload.mjs';

const VAPORA = fileURLToPath(new URL('../bin/vapora', import.meta.url));
const RUNS = 11;
const [countText = '100000', phase, given] = process.argv.slice(2);
const count = Number(countText);

// the embedded engine keeps its directory until the process ends
if (phase === 'fill') {
  const engine = await open(given);
  await fill(engine, 'waiting', count);
  await engine.close();
  process.exit(0);
}

const at = await makeDirectory();
const filled = spawnSync(process.execPath, [fileURLToPath(import.meta.url), countText, 'fill', at], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (filled.status !== 0) throw new Error('the filling process did not get to its end');
await writeFile(join(at, 'workflows.toml'), `[engine]\nstore = "rocksdb://${at}/data"\n`);

/** Median of the whole processes' time. */
function measure(...args) {
  const times = [];
  for (let run = 0; run < RUNS; run += 1) {
    const began = performance.now();
    const { status, stderr } = spawnSync(process.execPath, [VAPORA, ...args], { cwd: at, encoding: 'utf8' });
    if (status !== 0) throw new Error(`vapora ${args.join(' ')}: ${stderr}`);
    times.push(performance.now() - began);
  }
  return median(times);
}

const result = {
  instances: count,
  helpMs: measure('--help'),
  listMs: measure('list'),
  listStateMs: measure('list', '--state', 'waiting_approval'),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
await rm(at, { recursive: true, force: true });
