// `node bench/profile.mjs [seq3] [SECONDS]`: where the JavaScript of a scenario spends its time, as text: by part, by function, and the
// heaviest stacks folded in the form that flame graph programs read (`bench/results/profile-seq3.txt` is the output of one run).
import { rm } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { makeDirectory } from './disk.mjs';
import { cpuMicros, cpuMicrosSince } from './threads.mjs';
import { ENDS, INITIATOR, machine, open } from './workload.mjs';

const [workflow = 'seq3', secondsText = '6'] = process.argv.slice(2);
const IN_FLIGHT = 64;
const INTERVAL_MICROS = 200;
const FUNCTIONS = 40;
const STACKS = 40;

const at = await makeDirectory();
const engine = await open(at);
await load(3);
const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_MICROS });
const before = cpuMicros();
await session.post('Profiler.start');
const workflows = await load(Number(secondsText));
const { profile } = await session.post('Profiler.stop');
report(profile, cpuMicrosSince(before, workflows));
await rm(at, { recursive: true, force: true });
process.exit(0);

async function load(seconds) {
  const began = performance.now();
  let done = 0;
  const line = async () => {
    while (performance.now() - began < seconds * 1_000) {
      const { id } = await engine.api.start({ workflow, input: { n: 1 }, initiator: INITIATOR });
      const { status } = await engine.api.untilRest(id);
      if (status !== ENDS[workflow]) throw new Error(`${workflow} ended ${status}`);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, line));
  return done;
}

function report({ nodes, samples, timeDeltas }, spent) {
  const byId = new Map(nodes.map((node) => [node.id, { ...node, self: 0, parent: null }]));
  for (const node of byId.values()) for (const child of node.children ?? []) byId.get(child).parent = node;
  samples.forEach((id, index) => {
    byId.get(id).self += timeDeltas[index];
  });
  const parts = new Map();
  const functions = new Map();
  const stacks = new Map();
  for (const node of byId.values()) {
    if (node.self === 0 || node.callFrame.functionName === '(idle)') continue;
    add(parts, partOf(node), node.self);
    add(functions, nameOf(node), node.self);
    add(stacks, stackOf(node), node.self);
  }
  const cpu = Object.entries(spent).map(([owner, micros]) => `${owner} ${micros.toFixed(0)}`);
  const lines = [
    `${workflow}, ${IN_FLIGHT} in flight, ${workflows} workflows; ${machine()}`,
    `processor time by threads, µs a workflow (with the profiler on): ${cpu.join(', ')}`,
    ...section('JavaScript by part, µs a workflow', parts, 20),
    ...section('by function (self), µs a workflow', functions, FUNCTIONS),
    '',
    'heaviest stacks, folded; the number is ns a workflow',
    ...heaviest(stacks, STACKS).map(
      ([stack, micros]) => `${stack} ${Math.round((micros / workflows) * 1_000)}`,
    ),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function section(title, sums, most) {
  const rows = heaviest(sums, most).map(
    ([name, micros]) => `${(micros / workflows).toFixed(1).padStart(8)}  ${name}`,
  );
  return ['', title, ...rows];
}

function heaviest(sums, most) {
  return [...sums].sort(([, a], [, b]) => b - a).slice(0, most);
}

function add(sums, key, micros) {
  sums.set(key, (sums.get(key) ?? 0) + micros);
}

function placeOf({ callFrame: { url } }) {
  const own = /\/dist\/(.*)\.js$/.exec(url);
  if (own !== null) return own[1];
  const foreign = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url);
  return foreign === null ? url.replace(/^file:.*\//, '') : foreign[1];
}

function partOf(node) {
  const place = placeOf(node);
  if (place === '')
    return node.callFrame.functionName.startsWith('(') ? node.callFrame.functionName : 'native';
  return place.includes('/') && !place.startsWith('@') ? place.slice(0, place.lastIndexOf('/')) : place;
}

function nameOf(node) {
  const place = placeOf(node);
  const name = node.callFrame.functionName || '(anonymous)';
  return place === '' ? name : `${name} ${place}:${node.callFrame.lineNumber + 1}`;
}

function stackOf(node) {
  const names = [];
  for (let at = node; at.parent !== null; at = at.parent)
    names.unshift(at.callFrame.functionName || '(anonymous)');
  return names.join(';');
}
