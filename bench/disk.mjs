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
    if (!entry.isFile()) continue;
    // the engine may have removed it meanwhile
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => null);
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}
