// The floor: the raw engine inserting the same rows and bytes in the same batches, one after the other, and nothing else.
import { rm } from 'node:fs/promises';
import { createNodeEngines } from '@surrealdb/node';
import { Surreal } from 'surrealdb';
import { makeDirectory } from './disk.mjs';

const written = JSON.parse(process.argv[2] ?? '{}');
const at = await makeDirectory();
const db = new Surreal({ engines: createNodeEngines() });
await db.connect(`rocksdb://${at}/data`);
await db.use({ namespace: 'bench', database: 'bench' });
await db.query('DEFINE TABLE floor SCHEMALESS');

let id = 0;
/** `rows` rows of equal size with `bytes` in all, in `batches` transactions. */
async function insert(rows, bytes, batches) {
  if (rows === 0) return;
  const text = 'x'.repeat(Math.max(1, Math.round(bytes / rows)));
  const count = Math.max(1, Math.round(batches));
  for (let batch = 0; batch < count; batch += 1) {
    const size = Math.floor(((batch + 1) * rows) / count) - Math.floor((batch * rows) / count);
    const values = Array.from({ length: size }, () => {
      id += 1;
      return { id, text };
    });
    await db.query('INSERT INTO floor $values RETURN NONE', { values });
  }
}

await insert(64, 64_000, 8);
const began = performance.now();
await insert(written.journalRows, written.journalBytes, written.journalRows);
await insert(written.projectedRows, written.projectedBytes, written.projections);
process.stdout.write(`${JSON.stringify({ ms: performance.now() - began })}\n`);
await rm(at, { recursive: true, force: true });
process.exit(0);
