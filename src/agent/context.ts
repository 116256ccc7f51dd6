/** What an in-process agent is given beside its task. */
import type { BlobRef, StepResult } from '../core/instance.js';
import type { InputArtifact, TaskOrder } from '../core/ports.js';
import type { AbortSource, AttemptVoice } from '../transport/runner.js';
import {
  type ArtifactFilter,
  type ArtifactReader,
  PermanentError,
  type TaskContext,
  type TaskLog,
} from './agent.js';
import type { AttemptLimits } from './limits.js';
import { LogTail } from './log-tail.js';
import { checkOutput, clip, describe, ProtocolError } from './outcome.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MAX_STEP_NAME_CHARACTERS = 200;

export function loadBlob(ref: BlobRef, voice: AttemptVoice): Uint8Array | Promise<Uint8Array> {
  return ref.inline === undefined ? voice.blob(ref) : encoder.encode(ref.inline);
}

/** The value of the instance's input. Without an await where it travels inline, as most do. */
export function loadInput(ref: BlobRef, voice: AttemptVoice): unknown {
  if (ref.inline !== undefined) return JSON.parse(ref.inline);
  return voice.blob(ref).then((bytes) => JSON.parse(decoder.decode(bytes)));
}

/** The context of one attempt and the log that it gathers. Parts that most agents never touch are made on first use. */
export class AttemptContext implements TaskContext {
  readonly #abort: AbortSource;
  readonly #order: TaskOrder;
  readonly #voice: AttemptVoice;
  readonly #limits: AttemptLimits;
  #tail: LogTail | null = null;
  #log: TaskLog | null = null;
  #artifacts: ArtifactReader | null = null;
  #steps: StepBook | null = null;

  constructor(order: TaskOrder, voice: AttemptVoice, abort: AbortSource, limits: AttemptLimits) {
    this.#order = order;
    this.#voice = voice;
    this.#limits = limits;
    this.#abort = abort;
  }

  // functions of their own, for agents that take the context apart

  get heartbeat(): () => void {
    return () => this.#voice.heartbeat();
  }

  get progress(): (message: string, fraction?: number) => void {
    return (message, fraction) =>
      this.#voice.progress({ message: clip(String(message)), fraction: fractionOf(fraction) });
  }

  get step(): <T>(name: string, run: () => T | Promise<T>) => Promise<T> {
    return (name, run) => {
      this.#steps ??= new StepBook(this.#order.steps, this.#voice, this.#limits);
      return handled(this.#steps.step(name, run));
    };
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get log(): TaskLog {
    if (this.#log === null) {
      const line = (level: string) => (message: string, data?: unknown) => this.write(level, message, data);
      this.#log = { info: line('info'), warn: line('warn'), error: line('error') };
    }
    return this.#log;
  }

  get artifacts(): ArtifactReader {
    this.#artifacts ??= readerOf(this.#order, this.#voice);
    return this.#artifacts;
  }

  write(level: string, message: string, data?: unknown): void {
    this.#tail ??= new LogTail(this.#limits.maxLogBytes);
    this.#tail.write(`${level} ${message}${data === undefined ? '' : ` ${describe(data)}`}\n`);
  }

  logBytes(): Uint8Array | null {
    return this.#tail === null ? null : this.#tail.bytes();
  }
}

/** Steps of one attempt: kept ones are answered, new ones are run and kept. */
class StepBook {
  readonly #kept: ReadonlyMap<string, unknown>;
  readonly #used = new Set<string>();
  readonly #voice: AttemptVoice;
  readonly #limits: AttemptLimits;

  constructor(kept: readonly StepResult[], voice: AttemptVoice, limits: AttemptLimits) {
    this.#kept = new Map(kept.map((step) => [step.name, step.value]));
    this.#voice = voice;
    this.#limits = limits;
  }

  async step<T>(name: string, run: () => T | Promise<T>): Promise<T> {
    checkStepName(name);
    if (this.#used.has(name)) throw new ProtocolError(`used the step \`${name}\` twice in one attempt`);
    if (this.#used.size >= this.#limits.maxSteps) {
      throw new ProtocolError(`used more than the ${this.#limits.maxSteps} steps allowed`);
    }
    this.#used.add(name);
    // the caller's type is a promise of its own about what it returned before; JSON is all that was checked
    if (this.#kept.has(name)) return this.#kept.get(name) as T;
    const value = checkOutput(await run(), this.#limits, `a value of step \`${name}\``);
    await this.#voice.step({ name, value });
    return value as T;
  }
}

/** Throws {@link ProtocolError}. */
export function checkStepName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '' || name.length > MAX_STEP_NAME_CHARACTERS) {
    throw new ProtocolError(`used a step whose name is not 1 to ${MAX_STEP_NAME_CHARACTERS} characters`);
  }
}

/** 0 to 1, or null for anything else: progress is a courtesy, not worth failing for. */
export function fractionOf(fraction: unknown): number | null {
  return typeof fraction === 'number' && fraction >= 0 && fraction <= 1 ? fraction : null;
}

function readerOf(order: TaskOrder, voice: AttemptVoice): ArtifactReader {
  // later ones are looked at first, and what has to be undone before everything else
  const all = [...order.artifacts, ...order.artifacts_to_undo];
  const find = (which: string | InputArtifact, filter: ArtifactFilter = {}): InputArtifact => {
    if (typeof which !== 'string') return which;
    const found = all.findLast((artifact) => artifact.name === which && matches(artifact, filter));
    if (found !== undefined) return found;
    const there = [...new Set(all.map((artifact) => `\`${artifact.name}\``))].join(', ') || 'none';
    throw new PermanentError(
      `there is no artifact \`${which}\`${describeFilter(filter)} (there are: ${there})`,
    );
  };
  const bytes = async (which: string | InputArtifact, filter?: ArtifactFilter) =>
    loadBlob(find(which, filter), voice);
  const text = async (which: string | InputArtifact, filter?: ArtifactFilter) => {
    const artifact = find(which, filter);
    return artifact.inline ?? decoder.decode(await voice.blob(artifact));
  };
  const json = async (which: string | InputArtifact, filter?: ArtifactFilter): Promise<unknown> => {
    const content = await text(which, filter);
    try {
      return JSON.parse(content);
    } catch {
      throw new PermanentError(`artifact \`${find(which, filter).name}\` is not JSON`);
    }
  };
  return {
    list: (filter = {}) => all.filter((artifact) => matches(artifact, filter)),
    bytes: (which, filter) => handled(bytes(which, filter)),
    text: (which, filter) => handled(text(which, filter)),
    json: (which, filter) => handled(json(which, filter)),
  };
}

function matches(artifact: InputArtifact, filter: ArtifactFilter): boolean {
  return (
    (filter.stage === undefined || artifact.stage === filter.stage) &&
    (filter.role === undefined || artifact.role === filter.role) &&
    (filter.kind === undefined || artifact.kind === filter.kind)
  );
}

function describeFilter(filter: ArtifactFilter): string {
  return Object.entries(filter)
    .map(([key, value]) => ` of ${key} \`${value}\``)
    .join('');
}

/** An agent that forgets to await must not bring the engine down with an unhandled rejection. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
