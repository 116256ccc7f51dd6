/**
 * kill -9 at any moment, with real processes on a real disk: nothing acknowledged is lost, no completed task runs again, interrupted
 * attempts run again under the same key with the next number, and a rollback that was half done goes on where it was. What the
 * agents did is read from a ledger outside the engine, which they sync to disk before they say that they are done.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const VAPORA = fileURLToPath(new URL('../../bin/vapora', import.meta.url));

const AGENT = `
import { appendFileSync, closeSync, fsyncSync, openSync } from 'node:fs';
const write = (what) => {
  const { VAPORA_IDEMPOTENCY_KEY: key, VAPORA_ATTEMPT: attempt } = process.env;
  const file = openSync(process.env.LEDGER, 'a');
  appendFileSync(file, JSON.stringify({ what, key, attempt: Number(attempt) }) + '\\n');
  fsyncSync(file);
  closeSync(file);
};
write('began');
await new Promise((resolve) => setTimeout(resolve, 60));
write('done');
console.log(JSON.stringify({ artifacts: [{ name: 'proof', kind: 'code', content: process.env.VAPORA_TASK_ID }] }));
if (process.argv[2] === 'fail') process.exit(1);
`;

const CONFIG = (ledger: string): string => `
[[workflows]]
name = "release"
trigger = "manual"
stages = [
  { name = "one", agents = ["work"], compensation_agents = ["undo"] },
  { name = "two", agents = ["work", "more"], parallel = true, compensation_agents = ["undo"] },
  { name = "three", agents = ["work"], compensation_agents = ["undo"] },
  { name = "four", agents = ["broken"] },
]

[[workflows]]
name = "good"
trigger = "manual"
stages = [
  { name = "one", agents = ["work"] },
  { name = "two", agents = ["work", "more"], parallel = true },
  { name = "three", agents = ["work"] },
]

[[agents]]
name = "worker"
roles = ["work", "more", "undo"]
max_concurrent = 4
command = ["${process.execPath}", "agent.mjs"]
env = { LEDGER = "${ledger}" }

[[agents]]
name = "breaker"
roles = ["broken"]
command = ["${process.execPath}", "agent.mjs", "fail"]
env = { LEDGER = "${ledger}" }
`;

interface LedgerLine {
  readonly what: 'began' | 'done';
  readonly key: string;
  readonly attempt: number;
}

interface StreamLine {
  readonly type: string;
  readonly seq?: number;
  readonly stage?: string;
  readonly role?: string;
  readonly kind?: string;
  readonly attempt?: number;
  readonly state?: string;
}

interface ListOutput {
  readonly instances: readonly { readonly workflow_id: string; readonly state: string }[];
}

let directory: string;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vapora-kill-'));
  writeFileSync(join(directory, 'agent.mjs'), AGENT);
  writeFileSync(join(directory, 'workflows.toml'), CONFIG(join(directory, 'ledger')));
  writeFileSync(join(directory, 'ledger'), '');
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

interface Run {
  readonly ended: boolean;
  readonly code: number | null;
  readonly lines: StreamLine[];
}

/** Runs a command, kills it `delayMs` after it has printed so many events, and answers whether it came to its end before. */
async function vaporaUntil(kill: { events: number; delayMs: number }, ...args: string[]): Promise<Run> {
  const child = spawn(process.execPath, [VAPORA, ...args, '--json'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  let text = '';
  let isDoomed = false;
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (isDoomed || text.split('\n').length <= kill.events) return;
    isDoomed = true;
    setTimeout(() => child.kill('SIGKILL'), kill.delayMs);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).trim();
  const lines = whole === '' ? [] : whole.split('\n').map((line) => JSON.parse(line) as StreamLine);
  return { ended: child.signalCode === null, code, lines };
}

function vapora(...args: string[]): { code: number | null; out: string } {
  const { status, stdout } = spawnSync(process.execPath, [VAPORA, ...args], {
    cwd: directory,
    encoding: 'utf8',
  });
  return { code: status, out: stdout };
}

function ledger(): LedgerLine[] {
  const text = readFileSync(join(directory, 'ledger'), 'utf8').trim();
  return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as LedgerLine);
}

function historyOf(id: string): StreamLine[] {
  const { code, out } = vapora('history', id, '--json');
  expect(code).toBe(0);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StreamLine);
}

/** Starts, and kills and resumes until it is over; each round at another point. */
async function runWithKills(
  workflow: string,
  id: string,
  seed: number,
): Promise<{ acknowledged: StreamLine[]; kills: number }> {
  const acknowledged: StreamLine[] = [];
  let kills = 0;
  for (let round = 0; round < 40; round += 1) {
    // later rounds get further, so that it comes to an end
    const events = 3 + ((seed * 5 + round * 3) % 6) + Math.floor(round / 3);
    const kill = { events, delayMs: (seed * 131 + round * 57) % 120 };
    const isStarted = acknowledged.length > 0;
    const args = isStarted ? ['resume', id] : ['run', workflow, '--id', id];
    const { ended, lines } = await vaporaUntil(kill, ...args);
    acknowledged.push(...lines.filter((line) => line.seq !== undefined));
    if (ended && lines.at(-1)?.type === 'result') return { acknowledged, kills };
    kills += 1;
  }
  throw new Error('it never came to an end');
}

function checkLedger(id: string): void {
  const lines = ledger();
  const completed = historyOf(id).filter((event) => event.type === 'task_completed');
  const attemptsOf = new Map<string, number[]>();
  for (const line of lines)
    if (line.what === 'began') attemptsOf.set(line.key, [...(attemptsOf.get(line.key) ?? []), line.attempt]);
  for (const [key, attempts] of attemptsOf) {
    // the same key for each attempt, and no attempt twice
    expect(attempts, `${key}: ${attempts.join()}`).toHaveLength(new Set(attempts).size);
    // nor two at once: an attempt says nothing more once the next one has begun
    const said = lines.filter((line) => line.key === key).map((line) => line.attempt);
    expect(said, key).toEqual([...said].sort((a, b) => a - b));
  }
  for (const event of completed) {
    const key = `${id}/${event.stage}/${event.role}/${event.kind}`;
    // no attempt follows the one that completed
    expect(Math.max(...(attemptsOf.get(key) ?? [])), key).toBe(event.attempt);
    expect(lines, key).toContainEqual({ what: 'done', key, attempt: event.attempt });
  }
}

describe('kill -9 and resume', { timeout: 180_000 }, () => {
  it.each([1, 2, 3])(
    'loses nothing and repeats no completed task of a pipeline that succeeds (%i)',
    async (seed) => {
      const { acknowledged, kills } = await runWithKills('good', 'g', seed);
      expect(kills).toBeGreaterThan(0);
      const events = historyOf('g');
      expect(events.at(-1)?.type).toBe('workflow_completed');
      expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
      // what was printed before a kill is still there, word for word
      for (const line of acknowledged) expect(events[(line.seq ?? 0) - 1]).toEqual(line);
      checkLedger('g');
      expect(vapora('audit', 'verify', '--all').code).toBe(0);
    },
  );

  it.each([4, 5, 6])('takes back in exact reverse order however often it is killed (%i)', async (seed) => {
    const { kills } = await runWithKills('release', 'r', seed);
    expect(kills).toBeGreaterThan(0);
    const events = historyOf('r');
    expect(events.at(-1)?.type).toBe('workflow_failed');
    const back = events.filter((event) => event.type === 'stage_compensated').map((event) => event.stage);
    expect(back).toEqual(['three', 'two', 'one']);
    const undone = ledger().filter((line) => line.what === 'done' && line.key.endsWith('/compensate'));
    const order = undone.map((line) => line.key.split('/')[1]);
    // a repeated attempt stands next to the first: never behind a later stage's
    expect(order).toEqual(
      [...order].sort(
        (a, b) => ['three', 'two', 'one'].indexOf(a ?? '') - ['three', 'two', 'one'].indexOf(b ?? ''),
      ),
    );
    checkLedger('r');
    expect(vapora('audit', 'verify', '--all').code).toBe(0);
  });

  it('resumes everything with --all', async () => {
    for (const id of ['a', 'b', 'c'])
      await vaporaUntil({ events: 7, delayMs: 20 }, 'run', 'good', '--id', id);
    const { code } = vapora('resume', '--all');
    const listed = JSON.parse(vapora('list', '--json').out) as ListOutput;
    const states = listed.instances;
    const known = states.map((item) => item.state);
    expect(known.length).toBeGreaterThan(0);
    expect(new Set(known)).toEqual(new Set(['completed']));
    expect(code).toBe(0);
    for (const { workflow_id: id } of states) checkLedger(id);
  });
});
