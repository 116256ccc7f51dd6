/**
 * Just enough of Cedar's grammar to find where policies begin and end and how deeply they nest, before Cedar itself sees them.
 * It accepts anything: what is wrong with a text is for Cedar to say.
 */

export interface Token {
  readonly kind: 'word' | 'string' | 'mark';
  readonly text: string;
  /** UTF-16 offsets into the text; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

// An unclosed string runs to the end of the text, so that nothing in it is taken for code. A comment ends with its line, however that
// one ends: what follows a lone carriage return is code to Cedar.
const TOKEN =
  /(?<blank>\s+|\/\/[^\n\r]*)|(?<string>"[^"\\]*(?:\\.[^"\\]*)*(?:"|$))|(?<word>[A-Za-z0-9_]+)|&&|\|\||[=!<>]=|::|./gsuy;

/** Tokens of a Cedar policy text, without blanks and comments. */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const groups = match.groups ?? {};
    if (groups.blank !== undefined) continue;
    const kind = groups.string !== undefined ? 'string' : groups.word !== undefined ? 'word' : 'mark';
    tokens.push({ kind, text: match[0], start: match.index, end: match.index + match[0].length });
  }
  return tokens;
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '0': '\0',
  '\\': '\\',
  '"': '"',
  "'": "'",
};
const ESCAPE = /\\(?:u\{([0-9a-fA-F]{1,6})\}|x([0-7][0-9a-fA-F])|(.))/gsu;

/** The value of a Cedar string literal given with its quotes; null where it is none or holds an unknown escape. */
export function unquote(literal: string): string | null {
  if (!/^"[^"\\]*(?:\\.[^"\\]*)*"$/s.test(literal)) return null;
  let isValid = true;
  const value = literal.slice(1, -1).replace(ESCAPE, (_, unicode?: string, hex?: string, simple?: string) => {
    const code = Number.parseInt(unicode ?? hex ?? '', 16);
    if (code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)) return String.fromCodePoint(code);
    const known = simple === undefined ? undefined : SIMPLE_ESCAPES[simple];
    if (known === undefined) isValid = false;
    return known ?? '';
  });
  return isValid ? value : null;
}

export interface EntityRef {
  readonly type: string;
  readonly id: string;
}

/** Every entity that the text names, such as `User::"ann"`; those with escapes that Cedar would refuse are left out. */
export function entityRefsOf(tokens: readonly Token[]): readonly EntityRef[] {
  const refs: EntityRef[] = [];
  for (let at = 2; at < tokens.length; at++) {
    const literal = tokens[at];
    if (literal?.kind !== 'string' || tokens[at - 1]?.text !== '::') continue;
    let first = at - 2;
    while (tokens[first - 1]?.text === '::' && tokens[first - 2]?.kind === 'word') first -= 2;
    const type = tokens
      .slice(first, at - 1)
      .map((token) => token.text)
      .join('');
    const id = unquote(literal.text);
    if (id !== null) refs.push({ type, id });
  }
  return refs;
}

/**
 * Every name by which the text may ask for an attribute of an entity or a field of the context; null where it takes the context as a
 * whole, or may ask for any. Some of the names are none of either.
 */
export function attributeNamesOf(tokens: readonly Token[]): ReadonlySet<string> | null {
  const names = new Set<string>();
  for (const [at, token] of tokens.entries()) {
    if (token.kind === 'mark') continue;
    const name = token.kind === 'string' ? unquote(token.text) : token.text;
    if (name === null) return null;
    names.add(name);
    const next = tokens[at + 1]?.text ?? '';
    if (token.kind === 'word' && name === 'context' && !CONTEXT_ACCESS.has(next)) return null;
  }
  return names;
}

const CONTEXT_ACCESS = new Set(['.', '[', 'has']);
