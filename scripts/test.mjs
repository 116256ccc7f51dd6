// `npm test`: installs and builds what is missing, then lints, checks types and runs every test, with full coverage of src/core.
// Arguments go to vitest, e.g. `npm test -- src/store`: then only those tests are run.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { checkNode, ensureBuilt, ensureInstalled, root } from './prepare.mjs';

const extra = process.argv.slice(2);
const programs = {
  biome: ['@biomejs', 'biome', 'bin', 'biome'],
  tsc: ['typescript', 'bin', 'tsc'],
  vitest: ['vitest', 'vitest.mjs'],
};

checkNode();
ensureInstalled();
ensureBuilt();
if (extra.length === 0) {
  await run('biome', ['check', '.']);
  await run('tsc', ['-p', 'tsconfig.json', '--noEmit']);
}
const summary = await run('vitest', ['run', ...(extra.length === 0 ? ['--coverage'] : extra)]);
// the coverage table stands behind vitest's own closing lines
process.stdout.write(`\npassed: ${summary.join(', ')}\n`);

/** Runs a program of a package, shows what it prints, and answers its closing lines. Ends this process as it ends if it fails. */
async function run(name, args) {
  process.stdout.write(`\n> ${name} ${args.join(' ')}\n`);
  const child = spawn(process.execPath, [join(root, 'node_modules', ...programs[name]), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    // a pipe is no terminal, yet what comes through it may end on one
    env: process.stdout.isTTY ? { ...process.env, FORCE_COLOR: '1' } : process.env,
  });
  let tail = '';
  child.stdout.on('data', (chunk) => {
    process.stdout.write(chunk);
    tail = `${tail}${chunk}`.slice(-20_000);
  });
  const { code, signal } = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const lines = stripVTControlCharacters(tail).match(/^ *(Test Files|Tests) {2}.*$/gm) ?? [];
  const closing = lines.map((line) => line.trim().replace(/ {2,}/, ': ').toLowerCase());
  if (code === 0) return closing;
  process.stdout.write(`\nfailed: ${[name, ...closing].join(', ')}\n`);
  process.exit(signal === null ? code : 1);
}
