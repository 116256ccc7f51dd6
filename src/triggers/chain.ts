/**
 * Starts instances when others have ended. It hears of ends as they are committed; those that it could not hear of or follow, because
 * the engine died in between or was full, it finds again by their time.
 */
import type { Logger } from 'pino';
import type { Notice, WorkflowApi } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import type { WorkflowInstance } from '../core/instance.js';
import type { Clock, EndedInstance, EndedInstances, TriggerBook, TriggerMark } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import type { WorkflowTrigger } from '../core/trigger.js';
import { chainedId } from './start-ids.js';

/** How often it notes how far it is; what an engine that dies has to look through again. */
const NOTE_EVERY_MS = 10_000;
/** Looked through again beyond that: clocks of machines are set. Starting twice is one start. */
const OVERLAP_MS = 60_000;
/** After a start that was refused for the moment. */
const TRY_AGAIN_MS = 5_000;
/** Ends that wait to be followed; beyond, they are found again by their time. */
const MAX_WAITING = 10_000;
const SIDE_BY_SIDE = 16;
const PAGE = 500;

interface Follower {
  readonly workflow: string;
  readonly trigger: WorkflowTrigger;
  readonly spec: string;
}

export interface ChainOptions {
  readonly api: Pick<WorkflowApi, 'start' | 'get' | 'subscribe' | 'content' | 'artifacts'>;
  readonly book: TriggerBook;
  readonly ended: EndedInstances;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Chain {
  readonly #options: ChainOptions;
  #followers: readonly Follower[];
  readonly #marks = new Map<string, TriggerMark>();
  /** Ids of instances that have ended and were not followed yet. */
  #waiting = new Set<string>();
  #working: Promise<void> | null = null;
  /** Some end was not followed: it has to be looked for from the marks on. */
  #isBehind = true;
  #unsubscribe: (() => void) | null = null;
  #cancelTimer: (() => void) | null = null;
  #isClosed = false;

  constructor(options: ChainOptions, templates: ReadonlyMap<string, WorkflowTemplate>) {
    this.#options = options;
    this.#followers = followersOf(templates);
  }

  /** Begins to follow ends: those to come, and those since it was noted last. */
  start(): void {
    if (this.#unsubscribe !== null || this.#isClosed) return;
    this.#unsubscribe = this.#options.api.subscribe((notice) => this.#hear(notice));
    this.#work();
    this.#tickLater(NOTE_EVERY_MS);
  }

  replace(templates: ReadonlyMap<string, WorkflowTemplate>): void {
    this.#followers = followersOf(templates);
    this.#isBehind = true;
    if (this.#unsubscribe !== null) this.#work();
  }

  /** What ended before this time has been followed by all that follows ends, and is not looked at again. */
  async followedUntil(): Promise<number> {
    const marks = new Map((await this.#options.book.marks()).map((mark) => [mark.workflow, mark]));
    // one that has no mark yet, or another one's, begins when it is started
    const untils = this.#followers.flatMap(({ workflow, spec }) => {
      const mark = marks.get(workflow);
      return mark?.spec === spec ? [mark.until - OVERLAP_MS] : [];
    });
    return Math.min(Number.POSITIVE_INFINITY, ...untils);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe?.();
    this.#cancelTimer?.();
    await this.#working;
  }

  #hear(notice: Notice): void {
    if (notice.kind !== 'event' || this.#followers.length === 0) return;
    const { type, workflow_id } = notice.event;
    if (type !== 'workflow_completed' && type !== 'workflow_failed' && type !== 'workflow_cancelled') return;
    if (this.#waiting.size >= MAX_WAITING) this.#isBehind = true;
    else this.#waiting.add(workflow_id);
    this.#work();
  }

  /** Does all that waits. What can't be done now is done at the next tick. */
  #work(): void {
    if (this.#working !== null || this.#isClosed) return;
    this.#working = this.#drain().then(
      () => {
        this.#working = null;
        // heard while the last of it was being noted
        if (this.#waiting.size > 0) this.#work();
      },
      (error: unknown) => {
        this.#working = null;
        this.#isBehind = true;
        if (!this.#isClosed) this.#options.log.error({ err: error }, 'ends could not be followed');
      },
    );
  }

  #tickLater(delayMs: number): void {
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      if (this.#isClosed) return;
      this.#work();
      this.#tickLater(this.#isBehind ? TRY_AGAIN_MS : NOTE_EVERY_MS);
    });
  }

  async #drain(): Promise<void> {
    await this.#learnMarks();
    const startedAt = this.#options.clock.now();
    if (this.#isBehind) {
      this.#isBehind = false;
      await this.#lookBack();
    }
    while (this.#waiting.size > 0 && !this.#isClosed) {
      const some = [...this.#waiting].slice(0, SIDE_BY_SIDE);
      for (const id of some) this.#waiting.delete(id);
      await Promise.all(some.map((id) => this.#follow(id)));
    }
    // what ended before this began is done with, unless something was refused for the moment
    if (!this.#isBehind && !this.#isClosed) await this.#note(startedAt);
  }

  /** A trigger that is new, or waits for another workflow now, begins now. */
  async #learnMarks(): Promise<void> {
    if (this.#marks.size === 0) {
      for (const mark of await this.#options.book.marks()) this.#marks.set(mark.workflow, mark);
    }
    const now = this.#options.clock.now();
    for (const { workflow, spec } of this.#followers) {
      if (this.#marks.get(workflow)?.spec === spec) continue;
      await this.#keep({ workflow, spec, until: now, lastId: null, last: null, paused: null });
    }
  }

  async #lookBack(): Promise<void> {
    const now = this.#options.clock.now();
    const untils = this.#followers.map(({ workflow }) => this.#marks.get(workflow)?.until ?? now);
    const from = Math.min(now, ...untils) - OVERLAP_MS;
    let after: EndedInstance | undefined;
    do {
      const page = await this.#options.ended.ended({
        from,
        before: Number.MAX_SAFE_INTEGER,
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      });
      for (let start = 0; start < page.length && !this.#isClosed; start += SIDE_BY_SIDE) {
        const some = page.slice(start, start + SIDE_BY_SIDE);
        const followed = some.filter(({ template }) =>
          this.#followers.some(({ trigger }) => trigger.workflow === template),
        );
        await Promise.all(followed.map(({ id }) => this.#follow(id)));
      }
      after = page.length === PAGE ? page.at(-1) : undefined;
    } while (after !== undefined && !this.#isClosed);
  }

  async #note(until: number): Promise<void> {
    for (const { workflow } of this.#followers) {
      const mark = this.#marks.get(workflow);
      // seldom: the note only says where to look again
      if (mark === undefined || until - mark.until < NOTE_EVERY_MS) continue;
      await this.#keep({ ...mark, until });
    }
  }

  async #keep(mark: TriggerMark): Promise<void> {
    await this.#options.book.saveMark(mark);
    this.#marks.set(mark.workflow, mark);
  }

  async #follow(id: string): Promise<void> {
    let ended: WorkflowInstance;
    try {
      ended = await this.#options.api.get(id);
    } catch (error) {
      if (error instanceof VaporaError && error.code === 'instance_unknown') return;
      throw error;
    }
    for (const follower of this.#followers) {
      const { trigger, workflow } = follower;
      const isMeant =
        trigger.workflow === ended.templateName && trigger.states.some((state) => state === ended.status);
      // ended before this trigger was there
      const since = this.#marks.get(workflow)?.until ?? 0;
      if (isMeant && (ended.endedAt ?? 0) >= since - OVERLAP_MS) await this.#start(follower, ended);
    }
  }

  async #start({ workflow, trigger }: Follower, ended: WorkflowInstance): Promise<void> {
    const id = chainedId(workflow, ended.id);
    try {
      await this.#options.api.start({
        workflow,
        id,
        input: await this.#inputFrom(ended),
        initiator: trigger.initiator ?? ended.initiator,
        labels: { after: ended.id },
      });
    } catch (error) {
      if (!(error instanceof VaporaError) || error.code.startsWith('store_')) throw error;
      // it was started before
      if (error.code === 'instance_exists') return;
      if (error.isRetryable) this.#isBehind = true;
      const about = { workflow, instance: id, after: ended.id, reason: error.message };
      this.#options.log.warn(about, error.isRetryable ? 'chained start put off' : 'chained start refused');
    }
  }

  /** The same for the same end, however often it is asked for. */
  async #inputFrom(ended: WorkflowInstance): Promise<unknown> {
    const { api } = this.#options;
    const text = Buffer.from(await api.content(ended.id, ended.input)).toString('utf8');
    const artifacts = await api.artifacts(ended.id);
    return {
      workflow_id: ended.id,
      workflow: ended.templateName,
      state: ended.status,
      error: ended.error,
      input: JSON.parse(text),
      artifacts: artifacts.map(({ stage, role, name, kind, digest, size }) => ({
        stage,
        role,
        name,
        kind,
        digest,
        size,
      })),
    };
  }
}

function followersOf(templates: ReadonlyMap<string, WorkflowTemplate>): readonly Follower[] {
  return [...templates.values()].flatMap(({ name, trigger }) =>
    trigger === 'manual' || trigger.kind !== 'workflow'
      ? []
      : [{ workflow: name, trigger, spec: `after ${trigger.workflow} ${trigger.states.join(' ')}` }],
  );
}
