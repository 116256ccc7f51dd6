/** Prompt templates of model agents: text with `{{…}}` where something of the task comes in. */

/** What may stand between the braces; also a path into the input, an artifact's name, a label's key. */
export type Slot =
  | { readonly kind: 'input'; readonly path: readonly string[] }
  | { readonly kind: 'artifact'; readonly name: string }
  | { readonly kind: 'label'; readonly key: string }
  | { readonly kind: 'artifacts' | 'stage' | 'workflow' | 'role' | 'initiator' };

/** Texts and slots, in turn. */
export type PromptTemplate = readonly (string | Slot)[];

export const SLOT_RULE =
  '`{{input}}`, `{{input.KEY}}`, `{{artifact.NAME}}`, `{{artifacts}}`, `{{label.KEY}}`, `{{stage}}`, `{{workflow}}`, `{{role}}` or `{{initiator}}`';

const WORDS = ['artifacts', 'stage', 'workflow', 'role', 'initiator'] as const;

/** The template; or what in it is no slot. What comes in by a slot is never looked at for slots. */
export function parsePrompt(text: string): PromptTemplate | { readonly unknown: string } {
  const parts: (string | Slot)[] = [];
  let from = 0;
  for (const found of text.matchAll(/\{\{([^{}]*)\}\}/g)) {
    const slot = slotOf((found[1] ?? '').trim());
    if (slot === null) return { unknown: found[0] };
    parts.push(text.slice(from, found.index), slot);
    from = found.index + found[0].length;
  }
  parts.push(text.slice(from));
  return parts.filter((part) => part !== '');
}

function slotOf(text: string): Slot | null {
  const [word = '', ...rest] = text.split('.');
  if (rest.includes('')) return null;
  const name = rest.join('.');
  if (word === 'input') return { kind: 'input', path: rest };
  if (word === 'artifact' && name !== '') return { kind: 'artifact', name };
  if (word === 'label' && name !== '') return { kind: 'label', key: name };
  const kind = WORDS.find((known) => known === text);
  return kind === undefined ? null : { kind };
}
