/**
 * Cedar's evaluator, one WebAssembly instance a thread. A call that throws may leave the instance broken for good, so the instance
 * is dropped then and the next call gets a new one, with a new generation: what was prepared in the old one must be prepared again.
 */
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';

export type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs');

const PACKAGE = '@cedar-policy/cedar-wasm/nodejs';

// Node 20's optimizing compiler puts calls of WebAssembly into the functions around them. Where it has to give up such a function in
// the middle of a call, V8 now and then ends the whole process ("unreachable code", in its deoptimizer). Other versions may not know
// the flag, and would say so on stderr.
if (process.versions.node.startsWith('20.')) setFlagsFromString('--no-turbo-inline-js-wasm-calls');

/** The evaluator threw instead of answering. */
export class CedarTrap extends Error {
  override readonly name = 'CedarTrap';
}

let current: { readonly cedar: Cedar; readonly generation: number } | null = null;
let generations = 0;

function instantiate(): { readonly cedar: Cedar; readonly generation: number } {
  // A `require` of its own each time: one that is kept would hold every instance it has ever loaded.
  const require = createRequire(import.meta.url);
  const path = require.resolve(PACKAGE);
  delete require.cache[path];
  const cedar: Cedar = require(path);
  generations++;
  return { cedar, generation: generations };
}

/** Runs `call` on the evaluator. Throws `CedarTrap` for whatever it throws. */
export function callCedar<T>(call: (cedar: Cedar, generation: number) => T): T {
  try {
    current ??= instantiate();
    return call(current.cedar, current.generation);
  } catch (cause) {
    current = null;
    throw new CedarTrap(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Names under which the evaluator keeps prepared sets. It never frees one, so they are used again. */
const freeSlots: string[] = [];
let slots = 0;

/** A policy set and its schema as they are kept in the evaluator, through changes of its instance. Ids map to policy texts. */
export class PreparedSet {
  readonly #policies: Readonly<Record<string, string>>;
  readonly #schema: string;
  #slot: string | null;
  #generation = 0;

  constructor(policies: Readonly<Record<string, string>>, schema: string) {
    this.#policies = policies;
    this.#schema = schema;
    this.#slot = freeSlots.pop() ?? `slot-${slots++}`;
  }

  /** Calls with the name under which the set is ready. Throws `CedarTrap`, also after `release`. */
  use<T>(call: (cedar: Cedar, slot: string) => T): T {
    const slot = this.#slot;
    if (slot === null) throw new CedarTrap('the policy set is closed');
    return callCedar((cedar, generation) => {
      if (this.#generation !== generation) {
        fill(cedar, slot, this.#policies, this.#schema);
        this.#generation = generation;
      }
      return call(cedar, slot);
    });
  }

  /** Gives the name back. Idempotent. */
  release(): void {
    const slot = this.#slot;
    if (slot === null) return;
    this.#slot = null;
    // The set's memory is used again only once something else is kept under its name.
    if (current !== null && current.generation === this.#generation) {
      try {
        callCedar((cedar) => fill(cedar, slot, {}, ''));
      } catch {
        // Then the instance is gone, and the set's memory with it.
      }
    }
    freeSlots.push(slot);
  }
}

function fill(cedar: Cedar, slot: string, policies: Readonly<Record<string, string>>, schema: string): void {
  for (const answer of [
    cedar.preparseSchema(slot, schema),
    cedar.preparsePolicySet(slot, { staticPolicies: policies }),
  ]) {
    if (answer.type === 'failure') throw new Error(answer.errors[0]?.message ?? 'the policy set was refused');
  }
}

/** Names ever made: how much a process may hold. For tests. */
export function slotCount(): number {
  return slots;
}

/** How many instances of the evaluator this thread has had. For tests and diagnosis. */
export function cedarGeneration(): number {
  return generations;
}
