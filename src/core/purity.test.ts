import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const FILES = readdirSync(import.meta.dirname).filter(
  (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.suite.ts'),
);

/** Source without comments and strings, which may speak of anything. */
function codeOf(name: string): string {
  return readFileSync(`${import.meta.dirname}/${name}`, 'utf8')
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/\/\/.*$/gm, '');
}

const FORBIDDEN = [
  { what: 'waiting', pattern: /\bawait\b|\basync\b|\.then\(/ },
  {
    what: 'a clock',
    pattern: /\bDate\b|\bperformance\b|\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/,
  },
  { what: 'chance', pattern: /\bMath\.random\b|\bcrypto\b/ },
  { what: 'the process or its console', pattern: /\bprocess\b|\bconsole\b|\bglobalThis\b/ },
];

describe('core', () => {
  it('is there', () => {
    expect(FILES).toContain('decide.ts');
  });

  it.each(FILES)('%s imports nothing from outside', (name) => {
    const specifiers = [...codeOf(name).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
      (match) => match[1],
    );
    for (const specifier of specifiers) expect(specifier).toMatch(/^\.\/[a-z-]+\.js$/);
  });

  it.each(FILES)('%s knows nothing of time, chance and the process', (name) => {
    for (const { what, pattern } of FORBIDDEN) expect(codeOf(name), what).not.toMatch(pattern);
  });
});
