import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { ROOT } from '../tidy/source.js';

const CURVES = ['instances', 'stages', 'artifacts', 'policies', 'agents', 'history'];
const made: string[] = [];
afterAll(async () => {
  for (const path of made) await rm(path, { recursive: true, force: true });
});

it('measures every cost curve, and draws it', async () => {
  const out = await mkdtemp(join(tmpdir(), 'vapora-curves-'));
  made.push(out);
  const args = ['bench/curves.mjs', '--quick', '--note', 'in a test', '--out', out];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  expect((await readdir(out)).sort()).toEqual(
    ['README.md', 'curves.json', ...CURVES.map((name) => `${name}.svg`)].sort(),
  );
  const { curves } = JSON.parse(await readFile(join(out, 'curves.json'), 'utf8'));
  expect(Object.keys(curves)).toEqual(CURVES);
  const page = await readFile(join(out, 'README.md'), 'utf8');
  for (const name of CURVES) {
    const { series, dominant } = curves[name];
    expect(page).toContain(dominant);
    const svg = await readFile(join(out, `${name}.svg`), 'utf8');
    for (const { name: what, exponent, points } of series) {
      expect(points).toHaveLength(2);
      for (const { x, y } of points) expect([name, what, x > 0, y > 0]).toEqual([name, what, true, true]);
      expect(Number.isFinite(exponent)).toBe(true);
      expect(svg).toContain(what);
      expect(stdout).toContain(`${name}: ${what}: `);
    }
  }
}, 300_000);

it('fits powers, and notices a steep end behind a flat beginning', async () => {
  const { exponentOf, steepestEnd } = await import(join(ROOT, 'bench/curves/fit.mjs'));
  const of = (power: number) => [1, 10, 100, 1_000].map((x) => ({ x, y: 7 * x ** power }));
  for (const power of [0, 1, 2]) expect(exponentOf(of(power))).toBeCloseTo(power);
  const hidden = [1, 10, 100, 1_000, 10_000].map((x) => ({ x, y: 1_000_000 + x ** 2 }));
  expect(exponentOf(hidden)).toBeLessThan(1);
  expect(steepestEnd(hidden)).toBeGreaterThan(0.9);
});
