/** Somebody at the database: whatever is changed beside the engine shows. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const CONFIG = `
[[workflows]]
name = "release"
stages = [{ name = "one", agents = ["work"] }, { name = "two", agents = ["work"] }]
[[agents]]
name = "worker"
roles = ["work"]
command = ["sh", "-c", "sleep 0.1"]
`;

/** Rewrites the one history row and the one instance row with functions given as text, in a process of its own. */
const MEDDLE = `
import { createNodeEngines } from '@surrealdb/node';
import { Surreal } from 'surrealdb';
const db = new Surreal({ engines: createNodeEngines() });
await db.connect('rocksdb://' + process.argv[1]);
await db.use({ namespace: 'vapora', database: 'vapora' });
const change = (0, eval)(process.argv[2]);
const [rows] = await db.query('SELECT * FROM workflow_history');
const entries = rows.flatMap((row) => row.entries.split('\\n'));
const [[instance]] = await db.query('SELECT * FROM workflow_instances');
const next = change(entries, instance);
await db.query('DELETE workflow_history');
await db.query('UPDATE $id SET state = $state', { id: instance.id, state: instance.state });
await db.query('INSERT INTO workflow_history $rows', { rows: [{ id: rows[0].id, entries: next.join('\\n') }] });
process.exit(0);
`;

let original: string;
let entries: number;
const made: string[] = [];

function vapora(cwd: string, ...args: string[]): { status: number | null; stdout: string } {
  return spawnSync(process.execPath, [join(ROOT, 'bin', 'vapora'), ...args], { cwd, encoding: 'utf8' });
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'vapora-audit-'));
  made.push(path);
  return path;
}

beforeAll(() => {
  original = directory();
  writeFileSync(join(original, 'workflows.toml'), CONFIG);
  expect(vapora(original, 'run', 'release', '--id', 'r').status).toBe(0);
  entries = (JSON.parse(vapora(original, 'audit', 'verify', 'r', '--json').stdout) as { entries: number })
    .entries;
});
afterAll(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

it.each([
  { what: 'nothing', change: '(entries) => entries', broken: null, isShown: true },
  {
    what: 'an event altered',
    change: '(e) => e.with(0, e[0].replace("workflow_started", "workflow_failed"))',
    broken: 'first',
  },
  { what: 'an entry cut in half', change: '(e) => e.with(0, e[0].slice(0, 40))', broken: 'first' },
  { what: 'an entry removed', change: '(e) => e.slice(1)', broken: 'first' },
  { what: 'the tail cut off', change: '(e) => e.slice(0, -1)', broken: 'last' },
  { what: 'two entries swapped', change: '(e) => [e[1], e[0], ...e.slice(2)]', broken: 'first' },
  {
    what: 'another state shown',
    change: `(e, row) => {
      row.state = JSON.stringify({ id: 'r', status: 'failed', templateHash: row.template_hash });
      return e;
    }`,
    broken: 'last',
    isShown: true,
  },
])('finds $what', ({ change, broken, isShown = false }) => {
  const copy = directory();
  cpSync(original, copy, { recursive: true });
  const args = ['--input-type=module', '-e', MEDDLE, join(copy, '.vapora', 'store'), change];
  const meddled = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  expect(meddled.stderr).toBe('');
  const { status, stdout } = vapora(copy, 'audit', 'verify', '--all', '--json');
  const report = JSON.parse(stdout) as { broken: { revision: number } | null };
  const revisions = { first: 1, last: entries };
  expect(report.broken?.revision ?? null).toBe(
    broken === null ? null : revisions[broken as keyof typeof revisions],
  );
  expect(status).toBe(broken === null ? 0 : 1);
  // rather nothing than what no hash covers
  if (isShown) return;
  const shown = vapora(copy, 'show', 'r', '--json');
  expect(shown.status).toBe(1);
  expect(JSON.parse(shown.stdout)).toMatchObject({ type: 'error', code: 'audit_broken' });
});
