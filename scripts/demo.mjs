// The demo of `npm start`: releases a small shop three times, for real, in a copy of examples/deploy. Exit code 0 means that every
// release came out as it should. `--dir DIR` says where the copy goes, else to .vapora/demo.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs, stripVTControlCharacters, styleText } from 'node:util';
import { root } from './prepare.mjs';

const INTERRUPTED_EXIT = 130;
const VAPORA = join(root, 'bin', 'vapora');
const { values } = parseArgs({ options: { dir: { type: 'string' } } });
const dir = resolve(values.dir ?? join(root, '.vapora', 'demo'));
const hasColors = process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb';

/** What is running now, to be ended with us. */
const children = new Set();
let isInterrupted = false;
const unexpected = [];

function say(...lines) {
  for (const line of lines) process.stdout.write(`${hasColors ? line : stripVTControlCharacters(line)}\n`);
}
const paint = (style) => (text) => styleText(style, text);
const [bold, dim, green, red] = ['bold', 'dim', 'green', 'red'].map(paint);

/** A process group of its own: Ctrl-C reaches only us, and each child hears of it exactly once. */
function start(args, stdio) {
  const env = { ...process.env, VAPORA_LOG: 'error' };
  const child = spawn(process.execPath, args, { cwd: dir, env, stdio, detached: true });
  children.add(child);
  child.ended = new Promise((done) => {
    child.on('close', (code) => {
      children.delete(child);
      done(code);
    });
  });
  return child;
}

/** Runs a command as a user would, and says so. Answers its exit code. */
async function vapora(...args) {
  if (isInterrupted) return null;
  say('', `${dim('$')} ${bold(['vapora', ...args].map(quoted).join(' '))}`);
  return start([VAPORA, ...args], 'inherit').ended;
}

async function askVapora(...args) {
  const child = start([VAPORA, ...args, '--json'], ['ignore', 'pipe', 'inherit']);
  const chunks = await Promise.all([child.stdout.toArray(), child.ended]);
  return JSON.parse(Buffer.concat(chunks[0]).toString());
}

function quoted(arg) {
  return /^[\w./=-]+$/.test(arg) ? arg : `'${arg}'`;
}

function expect(what, isAsExpected) {
  if (isInterrupted) return;
  if (isAsExpected) return say('', green(`▸ ${what}`));
  say('', red(`▸ not as expected: ${what}`));
  unexpected.push(what);
}

function heading(number, title, ...words) {
  if (isInterrupted) return;
  const rule = '─'.repeat(Math.max(0, 76 - title.length));
  say('', '', bold(`${number}  ${title} ${rule}`), ...words.map((line) => `   ${line}`));
}

/** The machine that the shop runs on. It ends when we do, however we end. */
async function startHost() {
  const host = start(['host.mjs', '--with-parent'], ['pipe', 'ignore', 'inherit']);
  const address = join(dir, 'site', 'host.json');
  for (let tries = 0; !existsSync(address); tries++) {
    if (tries > 200 || !children.has(host)) throw new Error('the host of the shop does not start');
    await wait(50);
  }
  return JSON.parse(await readFile(address, 'utf8')).url;
}

/** What a customer sees. */
async function visit(url) {
  const [health, prices] = await Promise.all(['health', 'prices'].map((page) => get(`${url}/prod/${page}`)));
  return { version: health === null ? null : JSON.parse(health).version, prices: prices?.trim().split('\n') };
}

async function get(url) {
  const response = await fetch(url);
  return response.ok ? response.text() : null;
}

async function stateOnDisk() {
  const site = join(dir, 'site', 'prod');
  const { schema } = JSON.parse(await readFile(join(site, 'data.json'), 'utf8'));
  return JSON.stringify({ schema, slots: await readdir(join(site, 'slots')) });
}

function release(version, initiator) {
  const input = JSON.stringify({ version });
  const id = `release-${version}`;
  return vapora(
    'run',
    'release',
    '--id',
    id,
    '--input',
    input,
    '--label',
    'env=prod',
    '--initiator',
    initiator,
  );
}

async function succeed(url) {
  heading(1, 'A release that succeeds', 'Rita, a release manager, brings version 1.0.0 to production.');
  const waits = await release('1.0.0', 'rita');
  expect('it waits for an approval (exit code 4)', waits === 4);
  const own = await vapora('approve', 'release-1.0.0', 'deploy', '--by', 'rita');
  expect('a policy keeps Rita from approving her own release (exit code 3)', own === 3);
  const done = await vapora('approve', 'release-1.0.0', 'deploy', '--by', 'olga', '--comment', 'go');
  const { version, prices } = await visit(url);
  expect(
    `Olga of ops may approve it, and the shop serves ${version}: ${prices?.[0]}`,
    done === 0 && version === '1.0.0',
  );
}

async function takeBack(url) {
  heading(
    2,
    'A release that breaks, and is taken back',
    'Version 1.1.0 keeps prices in cents; its migration runs, but one place in its code was forgotten.',
  );
  const before = await visit(url);
  const stateBefore = await stateOnDisk();
  await release('1.1.0', 'rita');
  const failed = await vapora('approve', 'release-1.1.0', 'deploy', '--by', 'olga');
  const after = await visit(url);
  expect('the smoke test found it, and every stage before was taken back (exit code 1)', failed === 1);
  const isBack = JSON.stringify(before) === JSON.stringify(after) && after.version === '1.0.0';
  expect(`customers have ${after.version} again, as before`, isBack);
  say(
    `    before  ${before.version}: ${before.prices.join(', ')}`,
    `    after   ${after.version}: ${after.prices?.join(', ')}`,
  );
  expect(`data and directories are as they were: ${stateBefore}`, stateBefore === (await stateOnDisk()));
}

async function deny(url) {
  heading(3, 'A release that a policy denies', 'Dave has the fix, 1.1.1. But he is no release manager.');
  const denied = await release('1.1.1', 'dave');
  const { denials } = isInterrupted ? {} : await askVapora('show', 'release-1.1.1');
  const policies = Object.values(denials ?? {}).flatMap((decision) => decision.policies);
  const isDenied = denied === 3 && policies.includes('prod-is-for-release-managers');
  expect(
    `denied before anything was touched (exit code 3), by policies/release.cedar: ${policies}`,
    isDenied,
  );
  expect('the shop serves 1.0.0', (await visit(url)).version === '1.0.0');
}

function whatNext() {
  const here = relative(process.cwd(), dir) || '.';
  const command = relative(dir, VAPORA);
  say(
    '',
    '',
    bold('What to try next'),
    `  cd ${here}; alias vapora=${command.startsWith('..') ? command : VAPORA}`,
    '',
    '  vapora show release-1.1.0             what became of it, and why',
    '  vapora history release-1.1.0          every event, decisions of policies included',
    '  vapora artifacts release-1.0.0        what the agents handed on',
    '  vapora audit verify --all             whether the history is as it was written',
    '  vapora dead-letters                   what could not be taken back (nothing, today)',
    '',
    '  node host.mjs &                       the shop again, to release the fix yourself:',
    `  vapora run release --id fix --input '{"version":"1.1.1"}' --label env=prod --initiator rita`,
    '  vapora rollback fix --preview         what would be taken back if it ended here',
    '  vapora approve fix deploy --by olga',
    '',
    '  examples/deploy/ is the pipeline, docs/start.md a tour of ten minutes; `vapora init` makes one of your own',
  );
}

function interrupt() {
  if (isInterrupted) return;
  isInterrupted = true;
  for (const child of children) child.kill('SIGINT');
}

async function main() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupt);
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  await cp(join(root, 'examples', 'deploy'), dir, { recursive: true });
  const url = await startHost();
  say('', `A small shop, at ${bold(`${url}/prod/prices`)}, is released three times.`);
  for (const act of [succeed, takeBack, deny]) {
    if (!isInterrupted) await act(url);
  }
  if (unexpected.length > 0) say('', red(`${unexpected.length} not as expected, see above`));
  else if (!isInterrupted) whatNext();
}

try {
  await main();
} catch (error) {
  if (!isInterrupted) unexpected.push(error);
  if (!isInterrupted) process.stderr.write(`${error.stack}\n`);
} finally {
  for (const child of children) child.kill('SIGINT');
  await Promise.all([...children].map((child) => child.ended));
}
process.exitCode = isInterrupted ? INTERRUPTED_EXIT : unexpected.length === 0 ? 0 : 1;
