import { mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** On the disk that `VAPORA_BENCH_DIR` names, or the one for temporary files. */
export function makeDirectory() {
  return mkdtemp(join(process.env.VAPORA_BENCH_DIR ?? tmpdir(), 'vapora-bench-'));
}

export async function diskBytes(directory) {
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).blocks * 512;
  }
  return bytes;
}
