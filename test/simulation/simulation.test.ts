/** That the simulation runs and can fail. CI runs many more seeds beside this; `docs/simulation.md` explains it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../tidy/source.js';

const MINUTES = 60_000;
const run = promisify(execFile);

async function simulate(...args: string[]): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, ['scripts/simulate.mjs', ...args], {
      cwd: ROOT,
      maxBuffer: 50_000_000,
    });
    return stdout;
  } catch (error) {
    // what it has found is on its output
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${stdout ?? String(error)}\n${stderr ?? ''}`);
  }
}

describe('the simulation', () => {
  it('finds nothing in a few seeds, each run twice', { timeout: 5 * MINUTES }, async () => {
    expect(await simulate('--seeds', '50')).toContain('50 seeds, each run twice');
  });

  it('catches every broken variant of the engine', { timeout: 10 * MINUTES }, async () => {
    expect(await simulate('--variants')).toMatch(/^\d\d broken variants, 0 missed$/m);
  });

  it('finds nothing any more in what it has found before', { timeout: 5 * MINUTES }, async () => {
    expect(await simulate('--cases')).toMatch(/^\d+ cases, 0 bad$/m);
  });
});
