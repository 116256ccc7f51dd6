// What has to be there before anything can run: a Node that is new enough, the packages of the lock file, the compiled code.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Ends the process where Node is older than `engines` in package.json asks for. */
export function checkNode() {
  const wanted = /(\d+)\.(\d+)\.(\d+)/.exec(readJson('package.json').engines.node).slice(1).map(Number);
  const found = process.versions.node.split('.').map(Number);
  const first = wanted.findIndex((part, index) => part !== found[index]);
  if (first === -1 || found[first] > wanted[first]) return;
  fail(`Node ${wanted.join('.')} or later is needed, this is ${process.versions.node}: https://nodejs.org`);
}

/** Installs with `npm ci` unless node_modules holds what the lock file says. */
export function ensureInstalled() {
  if (isInstalled()) return;
  process.stdout.write('installing packages (npm ci) ...\n');
  const npm = process.env.npm_execpath;
  const [program, ...args] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  const { status } = spawnSync(program, [...args, 'ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) fail('the packages could not be installed, see above');
}

function isInstalled() {
  const wanted = readJson('package-lock.json').packages;
  const found = existsSync(join(root, 'node_modules', '.package-lock.json'))
    ? readJson('node_modules', '.package-lock.json').packages
    : {};
  // what is optional may be for another platform
  const needed = Object.entries(wanted).filter(([path, { optional }]) => path !== '' && !optional);
  return needed.every(([path, { version }]) => found[path]?.version === version);
}

/** Builds dist/ unless it was built after the last change of what it is made of. */
export function ensureBuilt() {
  const stamp = join(root, 'dist', '.built');
  const builtAt = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  if (builtAt > newestSource()) return;
  process.stdout.write('building ...\n');
  const build = join(root, 'scripts', 'build.mjs');
  const { status } = spawnSync(process.execPath, [build], { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail('the build failed, see above');
  writeFileSync(stamp, '');
}

function newestSource() {
  const sources = readdirSync(join(root, 'src'), { recursive: true })
    .filter((name) => !/\.(test|suite)\.ts$/.test(name))
    .map((name) => join('src', name));
  const files = [...sources, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
  return Math.max(...files.map((file) => statSync(join(root, file)).mtimeMs));
}

function readJson(...path) {
  return JSON.parse(readFileSync(join(root, ...path), 'utf8'));
}

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}
