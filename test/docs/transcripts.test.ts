/** What a newcomer is told to type works and prints what is shown. Write it anew with `npx vitest run test/docs -u`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, readText } from '../tidy/source.js';
import { replay } from './transcript.js';

const PATIENCE_MS = 120_000;

describe.each(['README.md', 'docs/start.md', 'docs/operating/backup.md'])('%s', (page) => {
  it(
    'shows what its commands print',
    async () => {
      const { text } = readText(page);
      expect(text).toMatch(/^```console$/m);
      await expect(await replay(text)).toMatchFileSnapshot(join(ROOT, page));
    },
    PATIENCE_MS,
  );
});

describe('README.md', () => {
  it('begins with the two commands that a checkout understands', () => {
    const { scripts } = JSON.parse(readText('package.json').text);
    const firstScreen = readText('README.md').text.split('\n').slice(0, 24).join('\n');
    for (const [command, script] of [
      ['npm start', scripts.start],
      ['npm test', scripts.test],
    ]) {
      expect(firstScreen).toContain(command);
      expect(script).toMatch(/^node scripts\//);
    }
  });

  it('has a library example that prints what its comment says', () => {
    const [, code = ''] = /^```js\n([\s\S]*?)^```$/m.exec(readText('README.md').text) ?? [];
    const [, promised] = /^console\.log\(.* \/\/ (.*)$/m.exec(code) ?? [];
    const directory = mkdtempSync(join(tmpdir(), 'vapora-readme-'));
    try {
      mkdirSync(join(directory, 'node_modules'));
      symlinkSync(ROOT, join(directory, 'node_modules', 'vapora-workflow-engine'));
      writeFileSync(join(directory, 'example.mjs'), code);
      const printed = execFileSync(process.execPath, ['example.mjs'], { cwd: directory, encoding: 'utf8' });
      expect(printed).toBe(`${promised}\n`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('shows a pipeline of ten lines', () => {
    const [, toml = ''] =
      /^```toml file=workflows.toml\n([\s\S]*?)^```$/m.exec(readText('README.md').text) ?? [];
    expect(toml.split('\n').filter((line) => line.trim() !== '')).toHaveLength(10);
  });
});
