import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { fakeHost } from './host.suite.js';
import { execute } from './main.js';

async function script(shell: string): Promise<string> {
  const host = fakeHost();
  expect(await execute(['completion', shell], host)).toBe(0);
  return host.out.join('');
}

function complete(bash: string, ...words: string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(' ');
  const program = `${bash}\nCOMP_WORDS=(${line})\nCOMP_CWORD=${words.length - 1}\n_vapora\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', program], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((word) => word !== '');
}

describe('completion', () => {
  it('in bash knows commands, sub-commands and options', async () => {
    const bash = await script('bash');
    expect(complete(bash, 'vapora', 're')).toEqual(['restore', 'resume', 'retry', 'reject']);
    expect(complete(bash, 'vapora', 'dead-letters', 're')).toEqual(['retry', 'resolve']);
    expect(complete(bash, 'vapora', 'cancel', 'some-id', '--no')).toEqual(['--no-compensate']);
    expect(complete(bash, 'vapora', 'policy', 'test', '--pr')).toEqual(['--principal']);
  });

  it.each(['zsh', 'fish'])('in %s names every command', async (shell) => {
    const text = await script(shell);
    for (const word of ['run', 'dead-letters', 'resolve', 'no-compensate', 'follow'])
      expect(text).toContain(word);
    const { error, stderr, status } = spawnSync(shell, ['-n'], { input: text, encoding: 'utf8' });
    // only where that shell is installed can its syntax be checked
    if (error === undefined) expect(status, stderr).toBe(0);
  });
});
