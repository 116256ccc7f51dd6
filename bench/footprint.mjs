// `node bench/footprint.mjs [COUNT] [WORKFLOW]`: what a finished instance takes on disk, by the kind of file. The log is what has been written
// last; it does not grow with the store. Prints one JSON line.
import { readdir, rm, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { makeDirectory } from './disk.mjs';
import { INITIATOR, open } from './workload.mjs';

const [countText = '60000', workflow = 'seq3'] = process.argv.slice(2);
const count = Number(countText);
const IN_FLIGHT = 64;
/** Until compactions that are due have been done. */
const SETTLE_MS = 5_000;

const at = await makeDirectory();
const engine = await open(at);
let started = 0;
const line = async () => {
  while (started < count) {
    started += 1;
    const { id } = await engine.api.start({ workflow, input: { n: started }, initiator: INITIATOR });
    await engine.api.untilRest(id);
  }
};
await Promise.all(Array.from({ length: IN_FLIGHT }, line));
await engine.store.writeOut();
await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
const bytes = { log: 0, tables: 0, blobs: 0, other: 0 };
const KINDS = { '.log': 'log', '.sst': 'tables', '.blob': 'blobs' };
for (const entry of await readdir(at, { withFileTypes: true, recursive: true })) {
  if (!entry.isFile()) continue;
  const { blocks } = await stat(join(entry.parentPath, entry.name));
  bytes[KINDS[extname(entry.name)] ?? 'other'] += blocks * 512;
}
const perInstance = Object.fromEntries(
  Object.entries(bytes).map(([kind, all]) => [kind, Math.round(all / count)]),
);
const { log, ...rest } = perInstance;
const kept = Object.values(rest).reduce((sum, part) => sum + part, 0);
process.stdout.write(
  `${JSON.stringify({ workflow, count, bytesPerInstance: perInstance, withoutLog: kept })}\n`,
);
await rm(at, { recursive: true, force: true });
process.exit(0);
