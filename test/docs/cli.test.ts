/** docs/cli.md covers every command and option that there is, and names none that is not there. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cliLeaves } from '../cli-leaves.js';

const DOCUMENT = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
const COMMON = new Set(['--config', '--server', '--json', '--help', '--version']);

const leaves = cliLeaves().map(({ words, command }) => ({ path: `vapora ${words}`, command }));

/** The part of the document below the command's heading. */
function sectionOf(path: string): string {
  const sections = DOCUMENT.split(/^### /m).slice(1);
  return (
    sections.find((section) => section.startsWith(`\`${path}\``) || section.startsWith(`\`${path} `)) ?? ''
  );
}

describe('docs/cli.md', () => {
  it('explains the options that all commands have', () => {
    const before = DOCUMENT.slice(0, DOCUMENT.indexOf('## Setting up'));
    for (const name of COMMON) expect(before).toContain(`\`${name}`);
  });

  it.each(leaves)('explains `$path` with its arguments and options', ({ path, command }) => {
    const section = sectionOf(path);
    expect(section, `there is a heading for ${path}`).not.toBe('');
    const words = command.registeredArguments.map((argument) =>
      argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
    );
    expect(section.split('\n')[0]).toBe(`\`${[path, ...words].join(' ')}\``);
    for (const option of command.options) {
      if (COMMON.has(option.long ?? '')) continue;
      const isPersonal =
        section.includes('Also `--by`, `--group`') && /^--(by|group)$/.test(option.long ?? '');
      if (!isPersonal) expect(section, `${path} ${option.flags}`).toContain(`| \`${option.flags}\` |`);
    }
  });

  it('names no option that is not there', () => {
    for (const { path, command } of leaves) {
      const documented = [...sectionOf(path).matchAll(/^\| `(--[a-z-]+)/gm)].map(([, name]) => name);
      const existing = command.options.map(({ long }) => long);
      for (const name of documented) expect(existing, `${path} ${name}`).toContain(name);
    }
  });

  it('has as many command headings as there are commands', () => {
    const headings = [...DOCUMENT.matchAll(/^### `vapora /gm)];
    expect(headings).toHaveLength(leaves.length);
  });
});
