// Compiles src/ to dist/ and puts beside it what the compiler leaves out.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const migrations = 'store/surreal/migrations';
/** Files that are read at run time, by their place beside the module that reads them. */
const DATA = /\.(surql|cedarschema|cedar|toml|html|css|svg)$/;

// made aside and swapped in: a build that fails leaves the last one in place
const next = join(root, `dist.${process.pid}`);
try {
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', next], {
    cwd: root,
    stdio: 'inherit',
  });
  cpSync(join(root, 'src'), next, {
    recursive: true,
    filter: (from) => !/\.[^/.]+$/.test(from) || DATA.test(from),
  });
  if (!existsSync(join(next, migrations))) throw new Error(`${migrations} is missing`);
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  renameSync(next, join(root, 'dist'));
} finally {
  rmSync(next, { recursive: true, force: true });
}
const bin = join(root, 'bin', 'vapora');
if (existsSync(bin)) chmodSync(bin, 0o755);
