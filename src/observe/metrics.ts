/**
 * What Prometheus gets. Counted from commits as they happen, which costs a few map look-ups each; everything that is a state of the
 * moment is asked for when somebody scrapes. `docs/operating/metrics.md` explains each, and a test keeps the two equal.
 */
import type { Gauge } from 'prom-client';
import type { AttemptUsage } from '../core/budget.js';
import type { WorkflowEvent } from '../core/events.js';
import { deadLettersOf, findStage, findTask, isTerminal, type WorkflowInstance } from '../core/instance.js';
import type { Committed, EngineObserver, LiveCount } from '../core/ports.js';
import { LabelBook } from './label-book.js';
import { Meters, type MetricDescription } from './meters.js';
import type { MetricSources } from './metric-sources.js';
import { NO_OBSERVER } from './observers.js';
import { RequestMeters } from './request-meters.js';

const MAX_WORKFLOWS = 100;
const MAX_STAGES = 300;
const MAX_ROLES = 100;
const MAX_AGENTS = 200;
const MAX_ACTIONS = 50;

const SECONDS_OF_WORK = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200, 43_200];
const SECONDS_OF_COMMIT = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5];
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

export interface Retained {
  /** Instances by workflow. */
  readonly purged: ReadonlyMap<string, number>;
  readonly broken: number;
  readonly contents: number;
  readonly contentBytes: number;
}

export class Metrics {
  readonly #meters = new Meters();
  /** Live instances by workflow and state. */
  readonly #live = new Map<string, Map<string, number>>();
  #openLetters = 0;
  readonly #workflows = new LabelBook(MAX_WORKFLOWS);
  readonly #stages = new LabelBook(MAX_STAGES);
  readonly #roles = new LabelBook(MAX_ROLES);
  readonly #agents = new LabelBook(MAX_AGENTS);
  readonly #actions = new LabelBook(MAX_ACTIONS);
  readonly #started = this.#meters.counter('vapora_instances_started_total', 'Instances started.', [
    'workflow',
  ]);
  readonly #ended = this.#meters.counter(
    'vapora_instances_ended_total',
    'Instances that came to an end, by the state they ended in.',
    ['workflow', 'state'],
  );
  readonly #instanceSeconds = this.#meters.histogram(
    'vapora_instance_duration_seconds',
    'From the start of an instance to its end.',
    ['workflow', 'state'],
    SECONDS_OF_WORK,
  );
  readonly #stageSeconds = this.#meters.histogram(
    'vapora_stage_duration_seconds',
    'From the start of a stage to its end, retries included.',
    ['workflow', 'stage', 'outcome'],
    SECONDS_OF_WORK,
  );
  readonly #taskSeconds = this.#meters.histogram(
    'vapora_task_duration_seconds',
    'From the dispatch of an attempt to its end.',
    ['role', 'kind', 'outcome'],
    SECONDS_OF_WORK,
  );
  readonly #batchSize = this.#meters.histogram(
    'vapora_commit_batch_size',
    'Commits that went to disk together.',
    [],
    BATCH_SIZES,
  );
  readonly #batchSeconds = this.#meters.histogram(
    'vapora_commit_duration_seconds',
    'Time that one batch of commits took to be on disk.',
    [],
    SECONDS_OF_COMMIT,
  );
  readonly #decisions = this.#meters.counter(
    'vapora_authorization_decisions_total',
    'Decisions of the policies.',
    ['action', 'effect'],
  );
  readonly #dispatched = this.#meters.counter(
    'vapora_compensations_dispatched_total',
    'Attempts to take a stage back that were given to an agent.',
    ['workflow'],
  );
  readonly #compensated = this.#meters.counter(
    'vapora_compensations_compensated_total',
    'Stages that were taken back.',
    ['workflow'],
  );
  readonly #deadLettered = this.#meters.counter(
    'vapora_compensations_dead_lettered_total',
    'Stages that could not be taken back and wait for an operator.',
    ['workflow'],
  );
  readonly #resolved = this.#meters.counter(
    'vapora_dead_letters_resolved_total',
    'Dead letters that an operator closed by hand.',
    ['workflow'],
  );
  readonly #tokens = this.#meters.counter(
    'vapora_model_tokens_total',
    'Tokens of language models, in and out, that attempts have used.',
    ['workflow'],
  );
  readonly #cost = this.#meters.counter(
    'vapora_model_cost_usd_total',
    'What those cost, in US dollars, as the agents say.',
    ['workflow'],
  );
  readonly #inconsistent = this.#meters.histogram(
    'vapora_inconsistent_seconds',
    'From a failure to the end of its compensation.',
    ['workflow'],
    SECONDS_OF_WORK,
  );
  readonly #audits = this.#meters.counter('vapora_audit_checks_total', 'Checks of a hash chain.', ['result']);
  readonly #recoverySeconds = this.#meters.gauge(
    'vapora_recovery_duration_seconds',
    'How long the recovery at the last start took; 0 while it is going on.',
  );
  readonly #recovered = this.#meters.gauge(
    'vapora_recovery_instances',
    'Instances that the recovery at the last start woke.',
  );

  readonly #purged = this.#meters.counter(
    'vapora_instances_purged_total',
    'Ended instances that are gone, because they were kept long enough.',
    ['workflow'],
  );
  readonly #contents = this.#meters.counter(
    'vapora_contents_removed_total',
    'Artifacts, inputs and logs that are gone, because no instance refers to them.',
    [],
  );
  readonly #contentBytes = this.#meters.counter('vapora_content_bytes_removed_total', 'Bytes of those.', []);
  readonly #retentionRuns = this.#meters.counter(
    'vapora_retention_runs_total',
    'Runs that let go of what was kept long enough.',
    ['result'],
  );
  readonly #keptBroken = this.#meters.gauge(
    'vapora_instances_kept_broken',
    'Ended instances that the last such run kept, because their history is broken.',
  );

  /** What a server counts of requests to it. */
  readonly requests = new RequestMeters(this.#meters);

  /** The media type of `text()`. */
  get contentType(): string {
    return this.#meters.contentType;
  }

  /** The engine's and the process's, as Prometheus reads them. */
  text(): Promise<string> {
    return this.#meters.text();
  }

  describe(): readonly MetricDescription[] {
    return this.#meters.describe();
  }

  /** Once everything is open, and before the first commit: what there was before, and where to look when somebody scrapes. */
  begin(
    before: { readonly counts: readonly LiveCount[]; readonly openLetters: number },
    sources: MetricSources,
  ): void {
    // one that has ended and is taken back further counts as ended
    for (const { template, status, count } of before.counts) {
      if (!isTerminal(status)) this.#count(this.#workflows.of(template), status, count);
    }
    this.#openLetters = before.openLetters;
    this.#addStateOfTheMoment(sources);
  }

  recovered(instances: number, ms: number): void {
    this.#recovered.set(instances);
    this.#recoverySeconds.set(ms / 1_000);
  }

  /** A run of retention; null: it failed. */
  retained(run: Retained | null): void {
    this.#retentionRuns.inc({ result: run === null ? 'failed' : 'done' });
    if (run === null) return;
    for (const [workflow, count] of run.purged) {
      this.#purged.inc({ workflow: this.#workflows.of(workflow) }, count);
    }
    this.#contents.inc(run.contents);
    this.#contentBytes.inc(run.contentBytes);
    this.#keptBroken.set(run.broken);
  }

  batch(size: number, ms: number): void {
    this.#batchSize.observe(size);
    this.#batchSeconds.observe(ms / 1_000);
  }

  observer(): EngineObserver {
    return {
      ...NO_OBSERVER,
      committed: (commit) => this.#committed(commit),
      decided: ({ action }, { effect }) => this.#decisions.inc({ action: this.#actions.of(action), effect }),
      audited: (isWhole) => this.#audits.inc({ result: isWhole ? 'whole' : 'broken' }),
    };
  }

  #committed(commit: Committed): void {
    const { previous, next, events } = commit;
    const workflow = this.#workflows.of(next.templateName);
    if (previous?.status !== next.status) this.#move(workflow, previous, next);
    let touchesLetters = false;
    for (const event of events) touchesLetters = this.#saw(event, commit, workflow) || touchesLetters;
    if (touchesLetters) {
      const before = previous === null ? 0 : deadLettersOf(previous).length;
      this.#openLetters += deadLettersOf(next).length - before;
    }
  }

  #move(workflow: string, previous: WorkflowInstance | null, next: WorkflowInstance): void {
    if (previous === null) this.#started.inc({ workflow });
    else if (!isTerminal(previous.status)) this.#count(workflow, previous.status, -1);
    if (!isTerminal(next.status)) this.#count(workflow, next.status, 1);
    else if (next.endedAt !== null) {
      const labels = { workflow, state: next.status };
      this.#ended.inc(labels);
      this.#instanceSeconds.observe(labels, (next.endedAt - next.createdAt) / 1_000);
    }
  }

  /** Whether it may have changed how many dead letters are open. */
  #saw(event: WorkflowEvent, { previous, next, at }: Committed, workflow: string): boolean {
    switch (event.type) {
      case 'stage_completed':
      case 'stage_failed': {
        const startedAt = findStage(next, event.stage)?.startedAt ?? at;
        const outcome = event.type === 'stage_completed' ? 'completed' : 'failed';
        const [of, stage] = this.#stageOf(workflow, event.stage);
        this.#stageSeconds.observe({ workflow: of, stage, outcome }, (at - startedAt) / 1_000);
        return false;
      }
      case 'task_dispatched':
        if (event.kind === 'compensate') this.#dispatched.inc({ workflow });
        return false;
      case 'task_completed':
      case 'task_failed':
      case 'task_interrupted':
      case 'task_cancelled': {
        if ('usage' in event && event.usage !== undefined) this.#use(workflow, event.usage);
        const dispatchedAt = previous === null ? null : findTask(previous, event)?.dispatchedAt;
        if (dispatchedAt == null) return false;
        const outcome = event.type.slice('task_'.length);
        const role = this.#roles.of(event.role);
        this.#taskSeconds.observe({ role, kind: event.kind, outcome }, (at - dispatchedAt) / 1_000);
        return false;
      }
      case 'stage_compensated':
        this.#compensated.inc({ workflow });
        return true;
      case 'compensation_dead_lettered':
        this.#deadLettered.inc({ workflow });
        return true;
      case 'dead_letter_resolved':
        this.#resolved.inc({ workflow });
        return true;
      case 'dead_letter_retried':
        return true;
      case 'workflow_failed':
      case 'workflow_cancelled':
      case 'rollback_completed': {
        const plannedAt = (previous?.rollback ?? next.rollback)?.plannedAt;
        if (plannedAt !== undefined) this.#inconsistent.observe({ workflow }, (at - plannedAt) / 1_000);
        return false;
      }
      default:
        return false;
    }
  }

  #use(workflow: string, { inputTokens, outputTokens, microUsd }: AttemptUsage): void {
    this.#tokens.inc({ workflow }, inputTokens + outputTokens);
    this.#cost.inc({ workflow }, microUsd / 1_000_000);
  }

  /** Both labels together are what must stay few. */
  #stageOf(workflow: string, stage: string): readonly [string, string] {
    const pair = `${workflow}/${stage}`;
    return this.#stages.of(pair) === pair ? [workflow, stage] : ['other', 'other'];
  }

  #count(workflow: string, status: string, change: number): void {
    const states = this.#live.get(workflow) ?? new Map<string, number>();
    states.set(status, (states.get(status) ?? 0) + change);
    this.#live.set(workflow, states);
  }

  #addStateOfTheMoment({ queue, agents, store, shared }: MetricSources): void {
    const live = this.#live;
    this.#meters.collected(
      'vapora_instances',
      'Instances that have not ended, by state.',
      ['workflow', 'state'],
      (gauge) => {
        for (const [workflow, states] of live) {
          for (const [state, count] of states) gauge.set({ workflow, state }, count);
        }
      },
    );
    this.#meters.collected(
      'vapora_dead_letters_open',
      'Dead letters that wait for an operator.',
      [],
      (gauge) => gauge.set(this.#openLetters),
    );
    this.#meters.collected('vapora_queue_tasks', 'Tasks that wait for an agent.', [], (gauge) =>
      gauge.set(queue().tasks),
    );
    this.#meters.collected(
      'vapora_queue_oldest_seconds',
      'How long the task that has waited longest for an agent has waited.',
      [],
      (gauge) => gauge.set(queue().oldestMs / 1_000),
    );
    this.#meters.collected('vapora_tasks_in_flight', 'Attempts that are with agents.', [], (gauge) =>
      gauge.set(queue().inFlight),
    );
    this.#meters.collected(
      'vapora_shared_budget_used_ratio',
      'Share of the `shared_budget` of a workflow that is used in the present window; at 1 and above nothing more is dispatched.',
      ['workflow'],
      (gauge) => {
        gauge.reset();
        for (const { workflow, ratio } of shared())
          gauge.set({ workflow: this.#workflows.of(workflow) }, ratio);
      },
    );
    this.#addAgents(agents);
    this.#addStore(store);
  }

  #addAgents(agents: MetricSources['agents']): void {
    const eachAgent =
      (pick: (agent: ReturnType<MetricSources['agents']>[number]) => number) => (gauge: Gauge) => {
        gauge.reset();
        for (const agent of agents()) gauge.set({ agent: this.#agents.of(agent.name) }, pick(agent));
      };
    this.#meters.collected(
      'vapora_agent_capacity',
      'Attempts that the agent takes at once; an agent that is gone has no series.',
      ['agent'],
      eachAgent((agent) => agent.capacity),
    );
    this.#meters.collected(
      'vapora_agent_tasks',
      'Attempts that are with the agent.',
      ['agent'],
      eachAgent((agent) => agent.inFlight),
    );
    this.#meters.collected(
      'vapora_agent_success_ratio',
      'Share of its attempts that the agent brought to a good end, the latest weighing most.',
      ['agent'],
      eachAgent((agent) => agent.successRate),
    );
  }

  #addStore(store: MetricSources['store']): void {
    this.#meters.total(
      'vapora_commits_total',
      'Changes of instances that are on disk.',
      () => store().commits,
    );
    this.#meters.total(
      'vapora_commit_batches_total',
      'Transactions that those changes went to disk in.',
      () => store().journalRows,
    );
    this.#meters.total(
      'vapora_journal_characters_total',
      'Characters of those changes.',
      () => store().journalBytes,
    );
  }
}
