/** Agents and the way to them: they work, fail, lie, fall silent, answer late, twice or not at all. */
import { createHash } from 'node:crypto';
import type { AgentInfo, TaskOrder, TaskOutcome, TaskSink } from '../../src/core/ports.js';
import type { SimulatedProcess } from './process.js';
import type { Chance } from './scenario.js';
import type { World } from './world.js';

const HOUR = 3_600_000;
/** Of agents elsewhere, kept by their transport. */
const ELSEWHERE_LEASE_MS = 30_000;
/** An agent that has said so many times that it lives says no more: silence is what there is to test. */
const MAX_BEATS = 8;
/** More than what travels inside a reference. */
const BIG = 'x'.repeat(5_000);

/** One attempt at an agent, and the messages about it. */
export class Attempt {
  readonly order: TaskOrder;
  /** That it answers to; of an agent elsewhere, the next one takes the attempt up. */
  process: SimulatedProcess;
  readonly info: AgentInfo;
  readonly isElsewhere: boolean;
  #sink: TaskSink;
  readonly #world: World;
  /** Nothing of it acts any more. */
  isGone = false;
  isStopping = false;
  /** Its outcome has come to the engine. */
  isEnded = false;
  /** Its outcome is on the way. */
  #hasAnswered = false;
  /** Its process has gone, or has taken it up and has not heard of the agent yet. */
  #isCutOff = false;
  /** What it could not hand in while it was cut off. */
  #kept: TaskOutcome | null = null;
  #onLost: (() => void) | null = null;
  /** By another process than the one that dispatched it. */
  wasTakenUp = false;
  #beats = 0;

  constructor(process: SimulatedProcess, order: TaskOrder, sink: TaskSink, info: AgentInfo) {
    this.process = process;
    this.order = order;
    this.info = info;
    this.#sink = sink;
    this.#world = process.world;
    this.isElsewhere = process.world.isElsewhere(order.agent);
  }

  /** What speaks for the engine has gone. The agent notices, and ends by itself once its lease is over. */
  cutOff(): void {
    if (this.#isCutOff) return;
    this.#isCutOff = true;
    const since = this.process;
    this.#world.timeline.after(ELSEWHERE_LEASE_MS - 1, () => {
      if (this.#isCutOff && this.process === since) this.isGone = true;
    });
  }

  /** Another process takes it up, knowing nothing but that it was dispatched: it waits for a lease. */
  takeUp(process: SimulatedProcess, sink: TaskSink): void {
    const { timeline } = this.#world;
    this.process = process;
    this.wasTakenUp = true;
    this.#sink = sink;
    this.#isCutOff = true;
    this.isEnded = false;
    timeline.after(ELSEWHERE_LEASE_MS, () => this.#giveUp(process));
    if (this.isGone || this.#isSo('no_comeback', `${process.number}`)) {
      timeline.after(ELSEWHERE_LEASE_MS - 2, () => {
        if (this.process === process) this.isGone = true;
      });
      return;
    }
    const backMs = this.#world.spanOf(`back ${process.number} ${this.order.task_id}`, 0, ELSEWHERE_LEASE_MS);
    timeline.after(backMs, () => this.#comeBack(process));
  }

  #comeBack(process: SimulatedProcess): void {
    if (this.isGone || this.process !== process || process.isDead || !this.#isCutOff) return;
    this.#world.note(`${this.order.task_id} is claimed`);
    this.#isCutOff = false;
    const [kept, onStopped] = [this.#kept, this.#onLost];
    this.#kept = null;
    this.#onLost = null;
    if (onStopped !== null) return this.stop(onStopped);
    if (kept !== null) return this.#deliver(kept);
    // whatever it was waiting for will not come: it goes on from there
    this.#hasAnswered = false;
    this.#world.timeline.after(100, () => void this.#finish());
  }

  /** Nobody has come back to it within a lease. */
  #giveUp(process: SimulatedProcess): void {
    if (this.process !== process || !this.#isCutOff || this.isEnded) return;
    this.isGone = true;
    process.enter(() => {
      this.isEnded = true;
      this.#world.watch?.onLost(this);
      void this.#sink.end({ status: 'lost', reason: 'its agent did not come back' });
      this.#world.fleet.forget(this);
      this.#onLost?.();
    });
  }

  begin(): void {
    const { timeline } = this.#world;
    if (this.#isSo('claim_at_once')) return this.#claimAtOnce();
    if (this.#isSo('order_lost')) return this.#vanish('the order is lost');
    const travelMs = this.#isSo('order_late')
      ? this.#span('order', 60_000, 2 * HOUR)
      : this.#span('order', 0, 20);
    timeline.after(travelMs, () => this.#work());
    if (this.#isSo('order_twice')) timeline.after(travelMs + 1, () => this.#act());
  }

  /** It says that it is done while it is still being told what to do. */
  #claimAtOnce(): void {
    const outcome = this.#completed();
    this.#hasAnswered = true;
    this.isEnded = true;
    this.#world.note(`answer ${this.order.task_id} at once`);
    this.#world.watch?.onAnswer(this, outcome);
    this.#sink.end(outcome);
    this.#world.fleet.forget(this);
  }

  /** Where a lease stands for it, silence tells; where none does, the transport knows. */
  #vanish(why: string): void {
    this.#world.note(`${this.order.task_id}: ${why}`);
    if (this.info.leaseMs !== null) return;
    this.#answer({
      status: 'failed',
      error: { code: 'agent_lost', message: why },
      isRetryable: true,
      log: null,
    });
    this.isGone = true;
  }

  #work(): void {
    if (this.isGone) return;
    const { timeline } = this.#world;
    const isLate = this.#isSo('late');
    const long = isLate ? this.#span('late', 60_000, 3 * HOUR) : this.#span('slow', 1_000, 60_000);
    const workMs = isLate || this.#isSo('slow') ? long : this.#span('work', 0, 300);
    if (!isLate) this.#beat();
    if (this.#isSo('look')) this.#look();
    if (this.#isSo('die')) {
      timeline.after(workMs / 2, () => {
        if (!this.isGone) this.#vanish('the agent dies');
      });
    } else if (!this.#isSo('hang')) {
      timeline.after(workMs, () => void this.#finish());
    }
  }

  #beat(): void {
    const { leaseMs } = this.info;
    if (leaseMs === null || this.#beats >= MAX_BEATS) return;
    this.#beats += 1;
    this.#world.timeline.after(leaseMs / 3, () => {
      if (this.isGone || this.#hasAnswered) return;
      if (!this.#isSo('beat_lost', `${this.#beats}`)) {
        this.process.enter(() => {
          this.#world.watch?.onSign(this);
          if (this.#beats % 2 === 0) this.#sink.heartbeat();
          else this.#sink.progress({ message: 'still at it', fraction: null });
        });
      }
      this.#beat();
    });
  }

  /** It reads what it was given: that must be what was made. */
  #look(): void {
    const { order, process } = this;
    for (const ref of [order.input, ...order.artifacts, ...order.artifacts_to_undo]) {
      process.enter(() => {
        this.#sink.blob(ref).then(
          (bytes) => {
            const digest = createHash('sha256').update(bytes).digest('hex');
            if (digest === ref.digest && bytes.byteLength === ref.size) return;
            this.#world.violate(`${order.task_id} is given other content than what was made`);
          },
          (error: unknown) => {
            if (process.isDead || process.hasStoreFailed) return;
            this.#world.violate(`${order.task_id} can't read what it is given: ${String(error)}`);
          },
        );
      });
    }
  }

  async #finish(): Promise<void> {
    if (this.isGone || this.#hasAnswered) return;
    if (this.#isSo('step')) {
      const isKept = await this.#takeSteps();
      if (!isKept) return;
    }
    if (this.isGone || this.#hasAnswered) return;
    const isFailing = this.#isSo('fail');
    const isHopeless = this.#isSo('fail_for_good');
    const claimsDone = this.#isSo('claim_done');
    const claimsFailed = this.#isSo('claim_failed');
    if (!claimsDone && (claimsFailed || !(isFailing || isHopeless))) this.#act();
    const isDone = claimsDone || !(isFailing || isHopeless || claimsFailed);
    this.#answer(isDone ? this.#completed() : this.#failedOutcome(!isHopeless));
    if (!this.#isSo('twice')) return;
    const second = this.#isSo('big') ? this.#failedOutcome(true) : this.#completed();
    this.#world.timeline.after(this.#span('twice', 0, 5_000), () => this.#deliver(second));
  }

  /** False: a step was refused, so the attempt counts for nothing any more. */
  async #takeSteps(): Promise<boolean> {
    for (const name of ['s0', 's1']) {
      const isKnown = this.order.steps.some((step) => step.name === name);
      // who says a step again, with another value, is not listened to
      if (isKnown && !this.#isSo('step_changed', name)) continue;
      const result = { name, value: `${this.order.attempt}` };
      const isKept = await new Promise<boolean>((settle) => {
        this.process.enter(() => {
          this.#world.watch?.onSign(this);
          this.#sink.step(result).then(
            () => {
              if (!this.process.isDead && !isKnown) this.#world.watch?.onStepKept(this.order, result);
              settle(true);
            },
            () => settle(false),
          );
        });
      });
      if (!isKept || this.isGone) return false;
    }
    return true;
  }

  /** What the agent does to the world, once however often it is asked to. */
  #act(): void {
    if (!this.isGone) this.#world.onEffect(this);
  }

  #completed(): TaskOutcome {
    const { order } = this;
    if (this.#isSo('make_nothing')) return { status: 'completed', artifacts: [], output: null, log: null };
    const text = `${order.task_id}${this.#isSo('big') ? BIG : ''}`;
    const artifacts = [{ name: 'made', kind: 'code', content: Buffer.from(text) }];
    return { status: 'completed', artifacts, output: { by: order.task_id }, log: null };
  }

  #failedOutcome(isRetryable: boolean): TaskOutcome {
    const code = isRetryable ? 'agent_failed' : 'task_failed';
    const log = this.#isSo('big') ? Buffer.from(BIG) : null;
    return {
      status: 'failed',
      error: { code, message: `no luck with ${this.order.task_id}` },
      isRetryable,
      log,
    };
  }

  #answer(outcome: TaskOutcome): void {
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    if (this.info.leaseMs !== null && this.#isSo('answer_lost')) return;
    const isLate = this.#isSo('answer_late');
    const travelMs = isLate ? this.#span('answer', 60_000, 3 * HOUR) : this.#span('answer', 0, 20);
    this.#world.timeline.after(travelMs, () => this.#deliver(outcome));
  }

  #deliver(outcome: TaskOutcome): void {
    if (this.#isCutOff) {
      this.#kept ??= outcome;
      return;
    }
    this.process.enter(() => {
      this.isEnded = true;
      this.#world.note(`answer ${this.order.task_id} ${outcome.status}`);
      this.#world.watch?.onAnswer(this, outcome);
      this.#sink.end(outcome);
      if (this.#isSo('late_words')) this.#talkOn();
      if (!this.isStopping) this.#world.fleet.forget(this);
    });
  }

  /** It goes on talking after its last word. While that is not on disk, a step may still be kept. */
  #talkOn(): void {
    const step = { name: `late-${this.order.attempt}`, value: null };
    this.#sink.heartbeat();
    this.#sink.progress({ message: 'one more thing', fraction: 1 });
    this.#sink.step(step).then(
      () => {
        if (!this.process.isDead) this.#world.watch?.onStepKept(this.order, step);
      },
      () => {},
    );
  }

  /** The engine wants it to end. Resolves when it acts no more, in the process that asked. */
  stop(resolve: () => void): void {
    this.isStopping = true;
    if (this.#isCutOff) {
      // it ends with its lease, as nobody can tell it
      this.#onLost = resolve;
      return;
    }
    const isDeaf = this.#isSo('deaf_stop');
    const slowMs = isDeaf ? 10_000 : this.#span('stop', 1_000, 30_000);
    const stopMs = isDeaf || this.#isSo('slow_stop') ? slowMs : this.#span('stop', 0, 10);
    if (!isDeaf) this.#hasAnswered = true;
    this.#world.timeline.after(stopMs, () => {
      this.isGone = true;
      this.process.enter(() => {
        const message = 'the attempt was stopped';
        if (!this.isEnded) {
          this.isEnded = true;
          this.#sink.end({
            status: 'failed',
            error: { code: 'agent_lost', message },
            isRetryable: true,
            log: null,
          });
        }
        this.#world.fleet.forget(this);
        resolve();
      });
    });
  }

  /** Whatever has kept it from answering is over; where a lease stands for it, that tells, and it stays silent. */
  heal(): void {
    if (this.isGone || this.isStopping || this.info.leaseMs !== null) return;
    this.#hasAnswered = false;
    this.#world.timeline.after(100, () => void this.#finish());
  }

  #isSo(chance: Chance, more = ''): boolean {
    return this.#world.isSo(chance, this.order.task_id + more);
  }

  #span(what: string, least: number, most: number): number {
    return this.#world.spanOf(`${what} ${this.order.task_id}`, least, most);
  }
}
