/**
 * The one table of operating errors. A code is a contract: once released it keeps its meaning.
 *
 * `retry` says whether the same request may succeed later without anybody changing it; it is never guessed from text.
 * `exit` is the CLI's exit code for it. `docs/errors.md` holds one entry a code, and a test keeps the two equal.
 */
export const ERRORS = {
  // configuration and input: exit 2
  config_not_found: { retry: false, exit: 2 },
  config_invalid: { retry: false, exit: 2 },
  policy_invalid: { retry: false, exit: 2 },
  usage: { retry: false, exit: 2 },
  name_invalid: { retry: false, exit: 2 },
  input_invalid: { retry: false, exit: 2 },
  input_too_large: { retry: false, exit: 2 },
  workflow_unknown: { retry: false, exit: 2 },
  instance_unknown: { retry: false, exit: 2 },
  stage_unknown: { retry: false, exit: 2 },
  artifact_unknown: { retry: false, exit: 2 },
  dead_letter_unknown: { retry: false, exit: 2 },
  schedule_unknown: { retry: false, exit: 2 },
  instance_exists: { retry: false, exit: 2 },
  not_waiting: { retry: false, exit: 2 },
  approval_drifted: { retry: false, exit: 2 },
  instance_ended: { retry: false, exit: 2 },
  not_retryable: { retry: false, exit: 2 },
  not_rollbackable: { retry: false, exit: 2 },
  point_of_no_return: { retry: false, exit: 2 },
  token_unknown: { retry: false, exit: 2 },
  token_exists: { retry: false, exit: 2 },
  letter_closed: { retry: false, exit: 2 },
  limit_exceeded: { retry: false, exit: 2 },
  backup_invalid: { retry: false, exit: 2 },
  store_not_empty: { retry: false, exit: 2 },
  // authorization: exit 3
  unauthorized: { retry: false, exit: 3 },
  unauthenticated: { retry: false, exit: 3 },
  signature_invalid: { retry: false, exit: 3 },
  // the server, and the way to it
  server_unreachable: { retry: true, exit: 5 },
  server_failed: { retry: false, exit: 5 },
  resource_unknown: { retry: false, exit: 2 },
  rate_limited: { retry: true, exit: 5 },
  // what makes a task, a stage or an instance fail: exit 1
  task_failed: { retry: false, exit: 1 },
  agent_failed: { retry: true, exit: 1 },
  agent_timeout: { retry: true, exit: 1 },
  agent_lost: { retry: true, exit: 1 },
  agent_missing: { retry: false, exit: 1 },
  agent_protocol: { retry: false, exit: 1 },
  destination_refused: { retry: false, exit: 1 },
  role_unserved: { retry: true, exit: 1 },
  budget_exceeded: { retry: false, exit: 1 },
  // what an agent that calls over the network is told
  agent_exists: { retry: true, exit: 2 },
  agent_unknown: { retry: true, exit: 2 },
  lease_lost: { retry: false, exit: 1 },
  stage_timeout: { retry: false, exit: 1 },
  workflow_timeout: { retry: false, exit: 1 },
  approval_rejected: { retry: false, exit: 1 },
  approval_timeout: { retry: false, exit: 1 },
  cancelled: { retry: false, exit: 1 },
  stage_aborted: { retry: false, exit: 1 },
  rolled_back: { retry: false, exit: 1 },
  // the store: exit 5
  store_locked: { retry: true, exit: 5 },
  store_unreadable: { retry: false, exit: 5 },
  store_engine_mismatch: { retry: false, exit: 5 },
  store_newer: { retry: false, exit: 5 },
  store_failed: { retry: false, exit: 5 },
  store_fenced: { retry: false, exit: 5 },
  store_full: { retry: false, exit: 5 },
  revision_conflict: { retry: true, exit: 5 },
  audit_broken: { retry: false, exit: 1 },
  engine_overloaded: { retry: true, exit: 5 },
  engine_stopping: { retry: true, exit: 130 },
} as const satisfies Record<string, { retry: boolean; exit: number }>;

export type ErrorCode = keyof typeof ERRORS;

/** Where in a text an error lies: file as the user named it, line and column from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One of possibly many problems behind an error, e.g. of a configuration file. */
export interface Problem {
  readonly message: string;
  readonly place?: Place;
  /** Key path in a document, e.g. `workflows[0].stages[1].agents`. */
  readonly path?: string;
  /** What would have been accepted. */
  readonly expected?: string;
  /** What to do, or the nearest valid name. */
  readonly hint?: string;
  readonly severity: 'error' | 'warning';
}

/**
 * An operating error: expected, coded, handled. Programmer errors are plain `Error`s from {@link assert} and end the process.
 * The message begins in lower case, has no full stop and puts user input in backticks.
 */
export class VaporaError extends Error {
  override readonly name = 'VaporaError';
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];
  /** What the user can do about it, if that is not plain from the message. */
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    more: { hint?: string; problems?: readonly Problem[]; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.hint = more.hint;
    this.problems = more.problems ?? [];
  }

  get isRetryable(): boolean {
    return ERRORS[this.code].retry;
  }
}

/** A failure as data: what is kept in events and state. `message` follows the rules of {@link VaporaError}. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

export function failure(code: ErrorCode, message: string): Failure {
  return { code, message };
}

/** Ends the process's current path on a programmer error. Never used for bad input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
