/**
 * A second, much simpler reading of a history: what each event may follow, kept in a few sets. It shares no code with `evolve` and
 * `decide`, so that a mistake of theirs does not hide itself. Throws on the first event that should not have happened.
 */
import { assert } from './errors.js';
import type { WorkflowEvent } from './events.js';
import type { StageTemplate, WorkflowTemplate } from './template.js';

interface StageLedger {
  readonly template: StageTemplate;
  hasPermit: boolean;
  isApproved: boolean;
  isRunning: boolean;
  isCompleted: boolean;
  /** It has begun since it was last taken back: from then on it may have had effects. */
  hasBegun: boolean;
  /** Roles whose task of this run is done. */
  readonly done: Set<string>;
  /** `role#attempt` of either kind that are with an agent. */
  readonly inFlight: Set<string>;
  readonly undone: Set<string>;
  undoing: 'no' | 'planned' | 'running' | 'settled' | 'letter';
}

const ENDS: readonly string[] = ['workflow_completed', 'workflow_failed', 'workflow_cancelled'];
/** All that may still be said of an instance that has ended: its dead letters are worked off. */
const AFTER_END: readonly string[] = [
  'action_authorized',
  'dead_letter_retried',
  'dead_letter_resolved',
  'stage_compensated',
  'compensation_dead_lettered',
];

export class Ledger {
  readonly #stages: ReadonlyMap<string, StageLedger>;
  #hasEnded = false;
  #isGoingBack = false;

  constructor(template: WorkflowTemplate) {
    this.#stages = new Map(
      template.stages.map((stage): [string, StageLedger] => [
        stage.name,
        {
          template: stage,
          hasPermit: false,
          isApproved: false,
          isRunning: false,
          isCompleted: false,
          hasBegun: false,
          done: new Set(),
          inFlight: new Set(),
          undone: new Set(),
          undoing: 'no',
        },
      ]),
    );
  }

  /** Stages whose effect stands and that nobody has taken back, given up or recorded as left. */
  get standing(): readonly string[] {
    return [...this.#stages]
      .filter(([, stage]) => stage.isCompleted && stage.undoing === 'no')
      .map(([name]) => name);
  }

  get openCompensations(): readonly string[] {
    return [...this.#stages]
      .filter(([, { undoing }]) => undoing === 'planned' || undoing === 'running')
      .map(([name]) => name);
  }

  get inFlight(): readonly string[] {
    return [...this.#stages.values()].flatMap((stage) => [...stage.inFlight]);
  }

  read(event: WorkflowEvent): void {
    if (this.#hasEnded) {
      const isOfLetter = 'kind' in event && event.kind === 'compensate';
      assert(isOfLetter || AFTER_END.includes(event.type), `\`${event.type}\` after the end`);
    }
    if (ENDS.includes(event.type)) return this.#end(event.type);
    if (event.type === 'compensation_planned') return this.#plan(event);
    if (event.type === 'rollback_completed') {
      assert(this.openCompensations.length === 0, 'goes on while something is being taken back');
      this.#isGoingBack = false;
      return;
    }
    if (!('stage' in event) || event.type === 'workflow_blocked') return;
    const stage = this.#stages.get(event.stage);
    assert(stage !== undefined, 'an event of a stage of the template');
    if ('role' in event) readTask(stage, event);
    else this.#readStage(stage, event);
  }

  #end(type: string): void {
    const stages = [...this.#stages.values()];
    assert(this.inFlight.length === 0, `${type} with an attempt in flight`);
    if (type === 'workflow_completed') {
      assert(
        stages.every(({ isCompleted }) => isCompleted),
        'completed without every stage',
      );
    } else {
      assert(this.#isGoingBack, 'nothing but a plan leads to a bad end');
      assert(this.openCompensations.length === 0, 'ends while something is to be taken back');
      assert(this.standing.length === 0, 'an effect is left without a word');
    }
    this.#hasEnded = true;
  }

  #plan(event: Extract<WorkflowEvent, { type: 'compensation_planned' }>): void {
    assert(this.inFlight.length === 0, 'takes back while an attempt is in flight');
    this.#isGoingBack = true;
    for (const { stage: name, skip } of event.entries) {
      const stage = this.#stages.get(name);
      assert(stage !== undefined && stage.undoing === 'no', 'what was dealt with is not planned again');
      assert(skip !== null || stage.hasBegun, 'only what has begun is taken back');
      stage.undoing = skip === null ? 'planned' : 'settled';
    }
    if (event.target.end !== 'resume')
      assert(this.standing.length === 0, 'the plan forgets a completed stage');
  }

  #readStage(stage: StageLedger, event: Extract<WorkflowEvent, { stage: string }>): void {
    switch (event.type) {
      case 'stage_authorized':
        stage.hasPermit ||= event.action === 'execute-stage' && event.decision.effect === 'allow';
        return;
      case 'stage_unblocked':
        stage.hasPermit = false;
        return;
      case 'approval_given':
        stage.isApproved = true;
        return;
      case 'approval_expired':
        stage.isApproved = event.outcome === 'approve';
        return;
      case 'stage_started':
        return this.#start(stage);
      case 'stage_completed':
        assert(stage.isRunning, 'completes what runs');
        assert(
          stage.template.agents.every((role) => stage.done.has(role)),
          'completes with a task open',
        );
        stage.isRunning = false;
        stage.isCompleted = true;
        return;
      case 'stage_failed':
        assert(stage.inFlight.size === 0, 'fails with an attempt in flight');
        stage.isRunning = false;
        return;
      case 'stage_reset':
        return reset(stage);
      default:
        undo(stage, event);
    }
  }

  #start(stage: StageLedger): void {
    const { needs, approvalRequired, name } = stage.template;
    assert(!this.#isGoingBack, `\`${name}\` starts while the instance is taken back`);
    assert(stage.hasPermit, `\`${name}\` starts without a permit`);
    assert(!approvalRequired || stage.isApproved, `\`${name}\` starts without its approval`);
    assert(
      needs.every((need) => this.#stages.get(need)?.isCompleted),
      `\`${name}\` starts before what it needs`,
    );
    stage.isRunning = true;
    stage.hasBegun = true;
  }
}

/** A stage that was taken back begins anew; one that only failed keeps what its tasks have done. */
function reset(stage: StageLedger): void {
  assert(stage.inFlight.size === 0, 'begins anew with an attempt in flight');
  stage.hasPermit = false;
  stage.isApproved = false;
  stage.isCompleted = false;
  if (stage.undoing === 'no') return;
  stage.undoing = 'no';
  stage.hasBegun = false;
  stage.done.clear();
  stage.undone.clear();
}

function undo(stage: StageLedger, event: Extract<WorkflowEvent, { stage: string }>): void {
  switch (event.type) {
    case 'compensation_started':
      assert(stage.undoing === 'planned', 'takes back what was planned');
      stage.undoing = 'running';
      return;
    case 'dead_letter_retried':
      assert(stage.undoing === 'letter', 'retries a letter that is there');
      stage.undoing = 'running';
      return;
    case 'stage_compensated':
      assert(stage.undoing === 'running', 'ends what runs');
      assert(
        stage.template.compensationAgents.every((role) => stage.undone.has(role)),
        'takes back all of it',
      );
      stage.undoing = 'settled';
      return;
    case 'compensation_dead_lettered':
      assert(stage.undoing === 'running', 'gives up what runs');
      stage.undoing = 'letter';
      return;
    case 'dead_letter_resolved':
      assert(stage.undoing === 'letter', 'resolves a letter that is there');
      stage.undoing = 'settled';
      return;
    default:
  }
}

function readTask(
  stage: StageLedger,
  event: Extract<WorkflowEvent, { role: string; attempt: number }>,
): void {
  const isForward = event.kind === 'execute';
  const attempt = JSON.stringify([event.stage, event.kind, event.role, event.attempt]);
  const done = isForward ? stage.done : stage.undone;
  switch (event.type) {
    case 'task_dispatched':
      assert(isForward ? stage.isRunning : stage.undoing === 'running', 'a task of what runs');
      assert(!done.has(event.role), 'what is done is not done again');
      stage.inFlight.add(attempt);
      return;
    case 'task_completed':
      assert(stage.inFlight.delete(attempt), 'a result of an attempt that is in flight');
      done.add(event.role);
      return;
    case 'task_interrupted':
      assert(stage.inFlight.delete(attempt), 'loses an attempt that is in flight');
      return;
    case 'task_started':
    case 'step_completed':
      assert(stage.inFlight.has(attempt), 'a word of an attempt that is in flight');
      return;
    case 'late_result_ignored':
      assert(!stage.inFlight.has(attempt), 'nothing that is in flight is late');
      return;
    case 'task_failed':
    case 'task_cancelled':
      // also of a task that could not be given to anybody
      stage.inFlight.delete(attempt);
      return;
  }
}
