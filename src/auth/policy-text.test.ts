import { describe, expect, it } from 'vitest';
import { type FlatPolicy, flatten, MAX_DEPTH, splitPolicies } from './policy-text.js';

const flat = (text: string): FlatPolicy => {
  const [piece] = splitPolicies(text);
  if (piece === undefined) throw new Error('no policy');
  return flatten(piece);
};
const policy = (condition: string): string => `permit(principal, action, resource) when { ${condition} };`;

describe('splitting a file', () => {
  it('finds policies between comments, and semicolons in strings and comments are none', () => {
    const text =
      '// a; b\n@note("x;\\";")\npermit(principal, action, resource); // c;\nforbid(principal, action, resource);\n';
    const pieces = splitPolicies(text);
    expect(pieces.map((piece) => piece.text)).toEqual([
      '@note("x;\\";")\npermit(principal, action, resource);',
      'forbid(principal, action, resource);',
    ]);
    expect(pieces[1]?.start).toBe(text.indexOf('forbid'));
  });

  it('ends a comment where Cedar does, so that no policy after a lone carriage return is lost', () => {
    const text = '// a\rforbid(principal, action, resource);\r// b\r\npermit(principal, action, resource);';
    expect(splitPolicies(text).map((piece) => piece.text)).toEqual([
      'forbid(principal, action, resource);',
      'permit(principal, action, resource);',
    ]);
  });

  it('keeps an unfinished rest as a piece, so that it is complained about', () => {
    expect(splitPolicies('permit(principal, action, resource)').map((piece) => piece.text)).toEqual([
      'permit(principal, action, resource)',
    ]);
  });

  it('cuts the head after the scope, past annotations with parentheses', () => {
    const [piece] = splitPolicies(
      '@id("a)(") @b permit(principal in Group::")", action, resource) when { (true) };',
    );
    expect(piece?.head).toBe('@id("a)(") @b permit(principal in Group::")", action, resource);');
  });
});

describe('flattening', () => {
  it('leaves short chains as they are', () => {
    const text = policy('a && b && (c || d)');
    expect(flat(text).text).toBe(text);
  });

  it('groups long chains and keeps the precedence of && over ||', () => {
    expect(flat(policy('a && b && c && d && e || f')).text).toBe(policy('(a && b && c && d) && e || f'));
    expect(flat(policy('a || b || c && d || e || f')).text).toBe(policy('(a || b || c && d || e) || f'));
  });

  it('does not reach over if, then, else and commas', () => {
    const text = policy('if a && b && c then d && e && f else g && h && i');
    expect(flat(text).text).toBe(text);
    expect(flat(policy('[a && b, c && d && e && f && g]')).text).toBe(
      policy('[a && b, (c && d && e && f) && g]'),
    );
  });

  it('gives offsets in the written text for those in the grouped one', () => {
    const text = policy(Array.from({ length: 30 }, (_, at) => `v${at}`).join(' && '));
    const { text: grouped, originalOffset } = flat(text);
    for (const name of ['v0', 'v17', 'v29']) {
      expect(originalOffset(grouped.indexOf(name))).toBe(text.indexOf(name));
    }
  });

  it('bounds the depth of brackets, operators, attributes, else-ifs and clauses', () => {
    const nest = MAX_DEPTH + 1;
    const deep = [
      policy(`${'('.repeat(nest)}true${')'.repeat(nest)}`),
      policy(`${'['.repeat(nest)}1${']'.repeat(nest)} == 1`),
      policy(`${'('.repeat(nest)}true`),
      policy(
        Array(nest + 1)
          .fill('1')
          .join(' + '),
      ),
      policy(`context${'.a'.repeat(nest)}`),
      policy(`${'if a then b else '.repeat(nest)}c`),
      policy(`true }${' when { true }'.repeat(nest)} when { true`),
    ];
    for (const text of deep) expect(flat(text).depth).toBeGreaterThan(MAX_DEPTH);
  });

  it('does not take width for depth', () => {
    expect(flat(policy(Array(2_000).fill('a == 1').join(' && '))).depth).toBeLessThan(MAX_DEPTH);
    expect(flat(policy(`[${Array(5_000).fill('1 + 1').join(', ')}].contains(2)`)).depth).toBeLessThan(10);
    expect(flat(policy(`"${'('.repeat(100)}" == "" // ${'('.repeat(100)}\n`)).depth).toBeLessThan(10);
  });
});
