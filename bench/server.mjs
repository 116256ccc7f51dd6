// `node bench/server.mjs [--clients 200] [--seconds 60]`: a real server under so many clients at once, each of which starts instances, follows
// them to their end, looks at them and lists. Prints requests a second, latencies, errors and the server's memory. Exit code 1 on any error.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { clients: { type: 'string', default: '200' }, seconds: { type: 'string', default: '60' } },
});
const clients = Number(values.clients);
const seconds = Number(values.seconds);
const VAPORA = fileURLToPath(new URL('../bin/vapora', import.meta.url));

const CONFIG = `
[[workflows]]
name = "gate"
stages = [{ name = "a", agents = ["nobody-serves-this"], approval_required = true }]
`;

const directory = mkdtempSync(join(tmpdir(), 'vapora-bench-'));
writeFileSync(join(directory, 'workflows.toml'), CONFIG);
const server = spawn(process.execPath, [VAPORA, 'serve', '--port', '0', '--json'], {
  cwd: directory,
  env: { ...process.env, VAPORA_LOG: 'error' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const agent = new Agent({ keepAlive: true, maxSockets: clients });
const latencies = [];
const failures = new Map();
let instances = 0;

try {
  const url = await new Promise((resolve, reject) => {
    server.stdout.once('data', (line) => resolve(JSON.parse(String(line)).url));
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const memory = [];
  const end = performance.now() + seconds * 1_000;
  const watching = (async () => {
    while (performance.now() < end) {
      memory.push(residentMiB(server.pid));
      await wait(1_000);
    }
  })();
  const began = performance.now();
  await Promise.all(Array.from({ length: clients }, (_, n) => drive(url, n, end)));
  const took = (performance.now() - began) / 1_000;
  await watching;
  report(took, memory);
} finally {
  server.kill('SIGTERM');
  await new Promise((resolve) => server.once('exit', resolve));
  agent.destroy();
  rmSync(directory, { recursive: true, force: true });
}
process.exitCode = failures.size === 0 ? 0 : 1;

async function drive(url, n, end) {
  // each from an address of its own, as far as the limit a caller has goes
  const from = `127.0.${Math.floor(n / 250) + 1}.${(n % 250) + 1}`;
  const ask = (method, path, body) => timed(() => call(url, from, method, path, body));
  while (performance.now() < end) {
    const started = await ask('POST', '/api/v1/instances', {
      workflow: 'gate',
      labels: { client: String(n) },
    });
    if (started === null) continue;
    instances += 1;
    const id = started.workflow_id;
    await ask('GET', `/api/v1/instances/${id}/rest?wait=20`);
    await ask('GET', `/api/v1/instances/${id}`);
    await ask('GET', '/api/v1/instances?limit=20');
    await ask('GET', `/api/v1/instances/${id}/events`);
    await ask('POST', `/api/v1/instances/${id}/cancel`, {});
  }
}

async function timed(work) {
  const began = performance.now();
  try {
    return await work();
  } catch (error) {
    failures.set(error.message, (failures.get(error.message) ?? 0) + 1);
    return null;
  } finally {
    latencies.push(performance.now() - began);
  }
}

function call(url, localAddress, method, path, body) {
  const { hostname, port } = new URL(url);
  const text = body === undefined ? null : JSON.stringify(body);
  const headers =
    text === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, method, path, headers, agent, localAddress }, async (answer) => {
      const chunks = await answer.toArray();
      const content = Buffer.concat(chunks).toString();
      if (answer.statusCode < 300) resolve(JSON.parse(content));
      else reject(new Error(`${method} ${answer.statusCode} ${JSON.parse(content).code}`));
    });
    asked.on('error', reject);
    asked.end(text);
  });
}

function residentMiB(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024);
}

function report(took, memory) {
  latencies.sort((a, b) => a - b);
  const at = (share) => `${(latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1)} ms`;
  const quarter = (n) => memory[Math.floor(((memory.length - 1) * n) / 4)];
  console.log(`${clients} clients for ${Math.round(took)} s`);
  console.log(`requests/s     ${Math.round(latencies.length / took)}`);
  console.log(`instances      ${instances}`);
  console.log(`p50, p99, max  ${at(0.5)}, ${at(0.99)}, ${at(1 - 1 / latencies.length)}`);
  console.log(`memory         ${[0, 1, 2, 3, 4].map(quarter).join(', ')} MiB (start, quarters, end)`);
  console.log(`errors         ${failures.size === 0 ? 'none' : JSON.stringify([...failures])}`);
}
