/** What `entities.json` says about people, groups and agents. */
import type { CedarValueJson, EntityJson, EntityUidJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { EntityRef } from './lexer.js';

const keyOf = (uid: TypeAndId): string => JSON.stringify([uid.type, uid.id]);

/** An entity's name in its plain form. */
export function plainUid(uid: EntityUidJson): TypeAndId {
  return '__entity' in uid ? uid.__entity : uid;
}

/**
 * Entities by name. A request takes only those along that it or a policy refers to, directly or not, so that its cost does not grow
 * with the number of people.
 */
export class EntityIndex {
  readonly #known = new Map<string, EntityJson>();
  readonly #named: readonly TypeAndId[];

  /** `named`: what policies mention by name, and so may ask about in any request. */
  constructor(known: readonly EntityJson[], named: readonly EntityRef[]) {
    for (const entity of known) this.#known.set(keyOf(plainUid(entity.uid)), entity);
    this.#named = named.filter((uid) => this.#known.has(keyOf(uid)));
  }

  /** `own` with what is known about each added, and every known entity within reach of them, of `others` and of the policies. */
  complete(own: readonly EntityJson[], others: readonly TypeAndId[]): EntityJson[] {
    const found = new Map<string, EntityJson>();
    const open: TypeAndId[] = [...others, ...this.#named];
    const take = (key: string, entity: EntityJson) => {
      found.set(key, entity);
      open.push(...entity.parents.map(plainUid));
      for (const value of [...Object.values(entity.attrs), ...Object.values(entity.tags ?? {})]) {
        collectRefs(value, open);
      }
    };
    for (const entity of own) {
      const key = keyOf(plainUid(entity.uid));
      const known = this.#known.get(key);
      take(key, known === undefined ? entity : merge(entity, known));
    }
    for (let uid = open.pop(); uid !== undefined; uid = open.pop()) {
      const key = keyOf(uid);
      const known = this.#known.get(key);
      if (known !== undefined && !found.has(key)) take(key, known);
    }
    return [...found.values()];
  }
}

function merge(own: EntityJson, known: EntityJson): EntityJson {
  const parents = new Map([...own.parents, ...known.parents].map(plainUid).map((uid) => [keyOf(uid), uid]));
  return { ...known, attrs: { ...known.attrs, ...own.attrs }, parents: [...parents.values()] };
}

/** Adds every entity that an attribute's value refers to. Values are at most as deep as the loader lets through. */
function collectRefs(value: CedarValueJson, refs: TypeAndId[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (isReference(value)) refs.push(value.__entity);
  else for (const inner of Object.values(value)) collectRefs(inner, refs);
}

function isReference(value: object): value is { __entity: TypeAndId } {
  return '__entity' in value;
}
