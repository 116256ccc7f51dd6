/** Follows an instance until it comes to rest: what every command that moves one does after its wish was granted. */
import type { Happening } from '../core/api.js';
import { assert, VaporaError } from '../core/errors.js';
import type { EventRecord } from '../core/events.js';
import { deadLettersOf, type Principal, type StageState, type WorkflowInstance } from '../core/instance.js';
import { LiveView } from './live-view.js';
import type { Session } from './session.js';
import type { Shell } from './shell.js';
import { clean } from './text.js';
import { JsonView, LogView, type View } from './view.js';

/** Stages that are approved as soon as they ask, and by whom. */
export interface AutoApproval {
  readonly stages: ReadonlySet<string> | 'all';
  readonly by: Principal;
}

export interface DriveOptions {
  /** Sequence number of the last event that is not to be shown. */
  readonly afterSeq: number;
  readonly approve?: AutoApproval;
}

/** Keeps what it hears until somebody listens, so that nothing is missed while the history is read. */
class Ear {
  readonly #heard: Happening[] = [];
  readonly #unsubscribe: () => void;
  #listener: ((notice: Happening) => void) | null = null;
  /** Rejects once nothing more is heard, with the reason. */
  readonly ended: Promise<never>;

  constructor(session: Session, id: string) {
    let end: (error: VaporaError) => void = () => {};
    this.ended = new Promise((_, reject) => {
      end = reject;
    });
    // it may be rejected while nobody waits for it
    this.ended.catch(() => undefined);
    this.#unsubscribe = session.api.subscribe((notice) => {
      if (notice.kind === 'ended') end(notice.error);
      else if (this.#listener === null) this.#heard.push(notice);
      else this.#listener(notice);
    }, id);
  }

  /** Calls for everything heard so far, then for each notice as it comes. */
  listen(listener: (notice: Happening) => void): void {
    for (const notice of this.#heard.splice(0)) listener(notice);
    this.#listener = listener;
  }

  close(): void {
    this.#unsubscribe();
  }
}

/** Shows the instance `id` until it rests. Answers how it came to rest. */
export async function drive(
  shell: Shell,
  session: Session,
  id: string,
  options: DriveOptions,
): Promise<WorkflowInstance> {
  session.follow(id);
  const { api } = session;
  const ear = new Ear(session, id);
  const view = chooseView(shell, session, await api.get(id));
  session.onStop(() => view.stop());
  const stream = new EventStream(options.afterSeq, (event) => view.event(event));
  const approver = new Approver(session, id, view, options.approve);
  await stream.add(api.history(id, options.afterSeq));
  ear.listen((notice) => {
    if (notice.kind === 'event') {
      stream.push(notice.event);
      if (notice.event.type === 'approval_requested') approver.consider(notice.event.stage);
    } else view.progress(notice);
  });
  const rest = await Promise.race([approver.untilRest(), ear.ended]);
  ear.close();
  // a notice may be on its way when the rest is known already
  await stream.add(api.history(id, stream.lastSeq));
  view.finish(rest, await api.artifacts(id));
  return rest;
}

function chooseView(shell: Shell, session: Session, instance: WorkflowInstance): View {
  if (shell.isJson) return new JsonView(shell);
  return shell.isTerminal ? new LiveView(shell, session.api, instance) : new LogView(shell, instance);
}

/** Passes each event on once, in order, wherever it came from. */
class EventStream {
  readonly #show: (event: EventRecord) => void;
  #lastSeq: number;

  constructor(afterSeq: number, show: (event: EventRecord) => void) {
    this.#lastSeq = afterSeq;
    this.#show = show;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  push(event: EventRecord): void {
    if (event.seq <= this.#lastSeq) return;
    this.#lastSeq = event.seq;
    this.#show(event);
  }

  async add(events: AsyncIterable<EventRecord>): Promise<void> {
    for await (const event of events) this.push(event);
  }
}

/** Gives the approvals that `--approve` promised. */
class Approver {
  readonly #session: Session;
  readonly #id: string;
  readonly #view: View;
  readonly #approval: AutoApproval | undefined;
  /** Stages whose approval the policies did not let us give. */
  readonly #refused = new Set<string>();
  /** By stage: an event of it and a look at the state may come side by side, and only one of them asks. */
  readonly #underWay = new Map<string, Promise<void>>();
  #error: unknown = null;

  constructor(session: Session, id: string, view: View, approval: AutoApproval | undefined) {
    this.#session = session;
    this.#id = id;
    this.#view = view;
    this.#approval = approval;
  }

  consider(stage: string): void {
    if (!this.#isMeant(stage) || this.#underWay.has(stage)) return;
    const giving = this.#give(stage)
      .catch((error: unknown) => {
        this.#error ??= error;
      })
      .finally(() => this.#underWay.delete(stage));
    this.#underWay.set(stage, giving);
  }

  /** Resolves when the instance rests and there is nothing left that we would approve. */
  async untilRest(): Promise<WorkflowInstance> {
    for (;;) {
      await this.#session.api.untilRest(this.#id);
      await Promise.all(this.#underWay.values());
      if (this.#error !== null) throw this.#error;
      const rest = await this.#session.api.untilRest(this.#id);
      const waiting = rest.stages.filter((stage) => isWaiting(stage) && this.#isMeant(stage.name));
      if (waiting.length === 0) return rest;
      for (const stage of waiting) this.consider(stage.name);
      await Promise.all(this.#underWay.values());
    }
  }

  #isMeant(stage: string): boolean {
    if (this.#approval === undefined || this.#refused.has(stage)) return false;
    return this.#approval.stages === 'all' || this.#approval.stages.has(stage);
  }

  async #give(stage: string): Promise<void> {
    assert(this.#approval !== undefined, 'an approval is promised');
    try {
      await this.#session.api.approve(this.#id, stage, this.#approval.by, { comment: 'by --approve' });
    } catch (error) {
      if (!(error instanceof VaporaError)) throw error;
      // asked twice, or somebody was faster
      if (error.code === 'not_waiting' || error.code === 'instance_ended') return;
      if (error.code !== 'unauthorized') throw error;
      this.#refused.add(stage);
      this.#view.remark(`stage \`${clean(stage)}\` is not approved: ${clean(error.message)}`);
    }
  }
}

function isWaiting(stage: StageState): boolean {
  return stage.status === 'waiting_approval';
}

/** Exit code by how an instance came to rest. */
export function exitOfRest(instance: WorkflowInstance): number {
  switch (instance.status) {
    case 'completed':
      return 0;
    case 'blocked':
      return 3;
    case 'waiting_approval':
      return 4;
    default:
      return 1;
  }
}

/** Exit code of what was to end an instance: 0 if it ended with nothing left to clear up. */
export function exitOfEnding(instance: WorkflowInstance): number {
  if (instance.status === 'blocked') return 3;
  const hasEnded = instance.status === 'failed' || instance.status === 'cancelled';
  return hasEnded && deadLettersOf(instance).length === 0 ? 0 : 1;
}

/** Grants a wish on an existing instance and follows it to its rest. `wish` answers the instance that goes on. */
export async function wishAndDrive(
  shell: Shell,
  session: Session,
  id: string,
  wish: () => Promise<WorkflowInstance>,
): Promise<WorkflowInstance> {
  const before = await session.api.get(id);
  session.follow(id);
  const after = await wish();
  // a retry of an ended instance goes on in another one, all of whose events are new
  const afterSeq = after.id === before.id ? before.seq : 0;
  return drive(shell, session, after.id, { afterSeq });
}
