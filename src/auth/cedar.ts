/** Authorization by a directory of Cedar policies. */

import type { PolicyFile } from '../core/decision-log.js';
import { type Place, type Problem, VaporaError } from '../core/errors.js';
import type { Decision } from '../core/instance.js';
import type { Digest } from '../core/names.js';
import type { AuthorizationRequest, Authorizer } from '../core/ports.js';
import { type CompiledPolicy, compile } from './compile.js';
import { CedarTrap } from './engine.js';
import { type Explanation, explain } from './explain.js';
import { directoryOf, type PolicyDirectory, readPolicyDirectory } from './load.js';
import { PolicySet } from './policy-set.js';

/** A policy in force, for people to look at. */
export interface PolicyDescription {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Problems that an error carries; the last one then says how many there are more. */
const MAX_PROBLEMS = 500;

/**
 * All `*.cedar` files of a directory as one policy set, validated strictly against the shipped schema, which `*.cedarschema` files
 * there extend; `entities.json` may say which groups people and agents are in. Nothing in the directory is passed over: one bad file
 * and the whole set is refused.
 */
export class CedarAuthorizer implements Authorizer {
  readonly isEnforcing = true;
  #path: string;
  #set: PolicySet;
  #isClosed = false;
  #reloading: Promise<void> = Promise.resolve();

  private constructor(path: string, set: PolicySet) {
    this.#path = path;
    this.#set = set;
  }

  /** Throws `policy_invalid` with a problem for each thing that is wrong, or for want of any policy. */
  static async loadFromDir(path: string): Promise<CedarAuthorizer> {
    return new CedarAuthorizer(path, await loadPolicySet(path));
  }

  /** The files of a directory that is not on this disk, under the name `path`. Throws `policy_invalid`. */
  static fromFiles(path: string, files: readonly PolicyFile[]): CedarAuthorizer {
    return new CedarAuthorizer(path, compilePolicySet(path, directoryOf(path, files)));
  }

  get path(): string {
    return this.#path;
  }

  get policySet(): Digest {
    return this.#set.compiled.digest;
  }

  /** What the validator finds odd about the set in force, such as a policy that can never apply. */
  get warnings(): readonly Problem[] {
    return this.#set.compiled.warnings;
  }

  /** Denies where anything at all goes wrong; after `close` always. */
  authorize(request: AuthorizationRequest): Decision {
    try {
      return this.#set.decide(request);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return {
        effect: 'deny',
        policies: [],
        reason: `evaluation failed: ${message}`,
        errors: [message],
        policySet: this.policySet,
      };
    }
  }

  /**
   * Loads the directory anew, or another one, and puts it in force in one step; what was remembered is forgotten.
   * Throws `policy_invalid` and leaves the set in force as it is. Reloads happen one after the other.
   */
  reload(path?: string): Promise<void> {
    const next = this.#reloading.then(() => this.#replace(path ?? this.#path));
    this.#reloading = next.catch(() => {});
    return next;
  }

  async #replace(path: string): Promise<void> {
    const set = await loadPolicySet(path);
    if (this.#isClosed) {
      set.release();
      return;
    }
    const old = this.#set;
    this.#set = set;
    this.#path = path;
    old.release();
  }

  /** The policies in force, in the order of their files. */
  describe(): readonly PolicyDescription[] {
    return this.#set.compiled.policies.map(describePolicy);
  }

  /** The decision, and where no permit matched, those that came closest. Never throws. */
  explain(request: AuthorizationRequest): Explanation {
    return explain(request, this.authorize(request), this.#set.compiled);
  }

  /** Gives the evaluator's memory back. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#set.release();
  }
}

function describePolicy({ id, effect, place, annotations }: CompiledPolicy): PolicyDescription {
  return { id, effect, file: place.file, line: place.line, annotations };
}

async function loadPolicySet(path: string): Promise<PolicySet> {
  return compilePolicySet(path, await readPolicyDirectory(path));
}

function compilePolicySet(path: string, directory: PolicyDirectory): PolicySet {
  try {
    const { set, problems } = compile(directory);
    if (set === null) throw invalid(path, problems);
    return new PolicySet(set);
  } catch (error) {
    if (!(error instanceof CedarTrap)) throw error;
    throw invalid(path, [
      {
        message: `the policies are too much for Cedar: ${error.message}`,
        place: { file: path, line: 1, column: 1 },
        severity: 'error',
      },
    ]);
  }
}

function invalid(path: string, problems: readonly Problem[]): VaporaError {
  const [first] = problems;
  const where = first?.place === undefined ? '' : ` (${placeText(first.place)})`;
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : '';
  const listed = problems.slice(0, MAX_PROBLEMS);
  const rest = problems.length - listed.length;
  if (rest > 0) listed.push({ message: `and ${rest} more problems`, severity: 'error' });
  const message = `policies in \`${path}\` are refused: ${first?.message ?? 'unknown problem'}${where}${more}`;
  return new VaporaError('policy_invalid', message, {
    problems: listed,
    ...(first?.hint === undefined ? {} : { hint: first.hint }),
  });
}

function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}
