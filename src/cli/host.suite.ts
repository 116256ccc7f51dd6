/** A host for tests: everything that a command writes is kept. */
import type { Host } from './shell.js';

export interface FakeHost extends Host {
  readonly out: string[];
  readonly err: string[];
}

export function fakeHost(
  more: { cwd?: string; stdin?: string; env?: NodeJS.ProcessEnv; isTTY?: boolean; columns?: number } = {},
): FakeHost {
  const out: string[] = [];
  const err: string[] = [];
  const { isTTY = false, columns = 80 } = more;
  async function* stdin() {
    yield more.stdin ?? '';
  }
  return {
    out,
    err,
    stdin: stdin(),
    stdout: { write: (text) => out.push(String(text)), isTTY, columns, rows: 24 },
    stderr: { write: (text) => err.push(String(text)) },
    env: more.env ?? {},
    cwd: more.cwd ?? '/',
    isDeaf: () => false,
    onInterrupt: () => () => undefined,
  };
}
