/**
 * The request without what no policy of the set can look at, and without the schema. Reading a request costs Cedar far more than
 * deciding it does, and most policies look at few fields.
 *
 * Nothing is decided differently for it. With the shipped schema alone, everything that Cedar would check of a request follows from
 * how {@link toCedar} builds it, from what {@link refusalOf} lets through, and from what is checked here; policies have been
 * validated against the same schema when they were loaded. What does not follow takes the long way, and Cedar checks it.
 */
import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import { assert } from '../core/errors.js';
import type { AuthorizationRequest } from '../core/ports.js';
import type { CompiledSet } from './compile.js';
import { callCedar } from './engine.js';
import type { CedarRequest } from './request.js';
import { VAPORA_SCHEMA } from './schema.js';

/** What the policies of a set can see. */
export class Sight {
  readonly #isShippedSchema: boolean;
  /** Names of attributes and of fields of the context; null: any. */
  readonly #names: ReadonlySet<string> | null;

  constructor({ schema, policies }: CompiledSet) {
    // A schema of one's own may give other meanings to the names that the shipped one uses.
    this.#isShippedSchema = schema === VAPORA_SCHEMA;
    const names = new Set<string>();
    let seesAll = false;
    for (const policy of policies) {
      if (policy.names === null) seesAll = true;
      else for (const name of policy.names) names.add(name);
    }
    this.#names = seesAll ? null : names;
  }

  /** What is to be evaluated without a schema; null where Cedar has to check the request against it. */
  reduce(request: AuthorizationRequest, full: CedarRequest): CedarRequest | null {
    if (!this.#isShippedSchema || !fitsShippedSchema(request)) return null;
    const entities: EntityJson[] = [];
    for (const { uid, attrs, parents } of full.entities) {
      const seen = this.#seenOf(attrs);
      // To Cedar, an entity of which nothing is said is the same as one that is not there.
      if (parents.length > 0 || Object.keys(seen).length > 0) entities.push({ uid, attrs: seen, parents });
    }
    return { ...full, context: this.#seenOf(full.context), entities };
  }

  #seenOf<T>(fields: Record<string, T>): Record<string, T> {
    const names = this.#names;
    if (names === null) return fields;
    const seen: Record<string, T> = {};
    for (const name of Object.keys(fields)) {
      const value = fields[name];
      if (value !== undefined && names.has(name)) seen[name] = value;
    }
    return seen;
  }
}

/** Whether the action is for such a principal and such a resource, and whether the principal may be in groups. */
function fitsShippedSchema({ principal, action, resource }: AuthorizationRequest): boolean {
  shipped ??= readShippedSchema();
  const types = shipped.actions.get(action);
  if (types === undefined || !types.principals.includes(principal.type)) return false;
  if (!types.resources.includes(resource.type)) return false;
  return principal.groups.length === 0 || shipped.grouped.has(principal.type);
}

interface ShippedSchema {
  readonly actions: ReadonlyMap<string, { principals: readonly string[]; resources: readonly string[] }>;
  /** Types whose entities may be in groups. */
  readonly grouped: ReadonlySet<string>;
}

let shipped: ShippedSchema | null = null;

/** Throws `CedarTrap`. */
function readShippedSchema(): ShippedSchema {
  const answer = callCedar((cedar) => cedar.schemaToJson(VAPORA_SCHEMA));
  const parts = answer.type === 'success' ? answer.json[''] : undefined;
  assert(parts !== undefined, 'the shipped schema is not one');
  const actions = Object.entries(parts.actions).map(([name, { appliesTo }]) => {
    const principals = appliesTo?.principalTypes ?? [];
    return [name, { principals, resources: appliesTo?.resourceTypes ?? [] }] as const;
  });
  const types = Object.entries(parts.entityTypes);
  const grouped = types.filter(
    ([, type]) => 'memberOfTypes' in type && type.memberOfTypes?.includes('Group'),
  );
  return { actions: new Map(actions), grouped: new Set(grouped.map(([name]) => name)) };
}
