/** Scenarios as tables: what is there, what people do each time it rests, and what it amounts to. */
import { expect, it } from 'vitest';
import { type ErrorCode, VaporaError } from './errors.js';
import type { WishInput } from './inputs.js';
import type { WorkflowInstance } from './instance.js';
import { ALLOW, ANN, DENY, type Reply, Scenario, type Script } from './scenario.suite.js';
import type { WorkflowTemplate } from './template.js';

type Plain<T> = T extends unknown ? Omit<T, 'by' | 'decision'> : never;
/** A person's wish; `refused`: with this code; `denied`: by policy. */
type WishMove = Plain<WishInput> & { readonly refused?: ErrorCode; readonly denied?: boolean };

export type CaseMove =
  | WishMove
  | { readonly type: 'answer'; readonly role: string; readonly reply: Reply }
  /** Lets the next timer ring. */
  | { readonly type: 'wait' };

export interface Case extends Script {
  readonly name: string;
  readonly template: WorkflowTemplate;
  readonly moves?: readonly CaseMove[];
  readonly expect: {
    readonly status: WorkflowInstance['status'];
    /** `<stage>:<status>/<compensation>`, compensation left out where there is none. */
    readonly stages: string;
    /** Stages in the order in which they were taken back. */
    readonly undone?: string;
    /** `<role>#<attempt>` in the order of dispatch. */
    readonly dispatched?: string;
    readonly error?: ErrorCode;
    /** Code of the last block that the instance went into. */
    readonly block?: string;
    /** Why a stage has no compensation, by stage. */
    readonly skips?: Readonly<Record<string, string>>;
  };
}

export function play(item: Pick<Case, 'template' | 'moves'> & Script): Scenario {
  const run = new Scenario(item.template, item).run();
  for (const move of item.moves ?? []) {
    make(run, move);
    run.run();
  }
  return run;
}

export function make(run: Scenario, move: CaseMove): void {
  if (move.type === 'wait') {
    expect(run.passTime()).toBe(true);
    return;
  }
  if (move.type === 'answer') {
    run.answer(move.role, move.reply);
    return;
  }
  const { refused, denied, ...wish } = move;
  const before = run.state;
  try {
    run.send({ ...wish, by: ANN, decision: denied ? DENY : ALLOW });
  } catch (error) {
    if (!(error instanceof VaporaError)) throw error;
    expect(error.code).toBe(refused);
    expect(run.state).toBe(before);
    return;
  }
  expect(refused).toBeUndefined();
}

/** `a:completed/compensated b:failed c:pending` */
export function stagesOf(instance: WorkflowInstance): string {
  return instance.stages
    .map(({ name, status, compensation }) =>
      compensation.status === 'none' ? `${name}:${status}` : `${name}:${status}/${compensation.status}`,
    )
    .join(' ');
}

export function testCases(cases: readonly Case[]): void {
  it.each(cases)('$name', (item) => {
    const run = play(item);
    const { status, stages, undone, dispatched, error, block, skips } = item.expect;
    expect(stagesOf(run.state)).toBe(stages);
    expect(run.state.status).toBe(status);
    if (undone !== undefined) expect(namesOf(run.seen('stage_compensated'))).toBe(undone);
    if (dispatched !== undefined) {
      const attempts = run.seen('task_dispatched').map((event) => `${event.role}#${event.attempt}`);
      expect(attempts.join(' ')).toBe(dispatched);
    }
    if (error !== undefined) expect(run.state.error?.code).toBe(error);
    if (block !== undefined) expect(run.seen('workflow_blocked').at(-1)?.block.code).toBe(block);
    for (const [name, reason] of Object.entries(skips ?? {})) {
      expect(run.state.stages.find((stage) => stage.name === name)?.compensation.reason).toBe(reason);
    }
  });
}

function namesOf(events: readonly { readonly stage: string }[]): string {
  return events.map((event) => event.stage).join(' ');
}
