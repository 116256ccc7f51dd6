/** The share of the simulation that every change has to pass. `docs/simulation.md` explains it. */
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
    throw new Error((error as { stdout?: string }).stdout ?? String(error));
  }
}

describe('the simulation', () => {
  it('finds nothing in its seeds, runs each the same way twice, and comes by every legal transition', {
    timeout: 10 * MINUTES,
  }, async () => {
    const output = await simulate('--seeds', '2000');
    expect(output).toContain('2000 seeds');
    expect(output).toMatch(/transitions: (\d+) of \1 legal ones hit/);
  });

  it('catches every broken variant of the engine', { timeout: 10 * MINUTES }, async () => {
    expect(await simulate('--variants')).toMatch(/^\d\d broken variants, 0 missed$/m);
  });

  it('finds nothing any more in what it has found before', { timeout: 5 * MINUTES }, async () => {
    expect(await simulate('--cases')).toMatch(/^\d+ cases, 0 bad$/m);
  });
});
