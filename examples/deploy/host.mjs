/**
 * The machine that the shop runs on, as far as this example needs one: serves what `site/<env>/current` points to, at
 * `/<env>/health` and `/<env>/prices`, and loads it anew on `POST /<env>/reload`. Its address is in `site/host.json`.
 * Runs until it is interrupted, or with `--with-parent` until its stdin ends.
 */
import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const SITE = resolve('site');
const ADDRESS = join(SITE, 'host.json');
/** What is loaded, by environment: it goes on being served until a reload, whatever happens on disk. */
const shops = new Map();

/** Throws where the release can't be loaded; then what was loaded before stays. */
async function load(env) {
  const current = await realpath(join(SITE, env, 'current')).catch(() => null);
  if (current === null) return void shops.delete(env);
  const settings = JSON.parse(await readFile(join(current, 'settings.json'), 'utf8'));
  const shop = await import(pathToFileURL(join(current, 'release', 'shop.mjs')).href);
  shops.set(env, { shop, settings });
}

async function answer(env, page, method) {
  if (method === 'POST' && page === 'reload') {
    await load(env);
    return 'loaded\n';
  }
  if (!shops.has(env)) await load(env);
  const running = shops.get(env);
  if (running === undefined || typeof running.shop[page] !== 'function') return null;
  const { products } = JSON.parse(await readFile(join(SITE, env, 'data.json'), 'utf8'));
  return running.shop[page](products, running.settings);
}

const server = createServer((request, response) => {
  const [, env, page] = /^\/([a-z][a-z0-9-]*)\/([a-z]+)$/.exec(request.url) ?? [];
  if (env === undefined) return response.writeHead(404).end('not found\n');
  answer(env, page, request.method).then(
    (body) => response.writeHead(body === null ? 404 : 200).end(body ?? 'nothing is deployed here\n'),
    (error) => response.writeHead(500).end(`${error.name}: ${error.message}\n`),
  );
});

async function stop() {
  await rm(ADDRESS, { force: true });
  process.exit(0);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
if (process.argv.includes('--with-parent')) process.stdin.on('end', stop).resume();

server.listen(0, '127.0.0.1', async () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  await mkdir(SITE, { recursive: true });
  await writeFile(`${ADDRESS}.next`, JSON.stringify({ url, pid: process.pid }));
  await rename(`${ADDRESS}.next`, ADDRESS);
  process.stdout.write(`host is serving at ${url}/prod/prices\n`);
});
