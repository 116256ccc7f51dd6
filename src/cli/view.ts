/** How a driven instance is shown while it runs. */
import type { InstanceArtifact, Notice } from '../core/api.js';
import type { EventRecord } from '../core/events.js';
import type { WorkflowInstance } from '../core/instance.js';
import { eventWords } from './event-words.js';
import { eventJson, resultJson } from './json.js';
import { toned } from './palette.js';
import type { Shell } from './shell.js';
import { summaryLines } from './summary.js';
import { clean, duration, padTo, width } from './text.js';

export type ProgressNotice = Extract<Notice, { kind: 'progress' }>;

export interface View {
  event(event: EventRecord): void;
  progress(notice: ProgressNotice): void;
  /** Something beside events that the user has to know, e.g. an approval that was refused. */
  remark(text: string): void;
  /** The instance has come to rest. */
  finish(instance: WorkflowInstance, artifacts: readonly InstanceArtifact[]): void;
  /** Lets go of the terminal. Idempotent; also called when the user interrupts. */
  stop(): void;
}

/** One JSON value a line. */
export class JsonView implements View {
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  event(event: EventRecord): void {
    this.#shell.json(eventJson(event));
  }

  progress(): void {}

  remark(text: string): void {
    this.#shell.note(text);
  }

  finish(instance: WorkflowInstance, artifacts: readonly InstanceArtifact[]): void {
    this.#shell.json(resultJson(instance, artifacts));
  }

  stop(): void {}
}

/** One line an event, for logs and pipes. */
export class LogView implements View {
  readonly #shell: Shell;
  readonly #lines: EventLines;

  constructor(shell: Shell, instance: WorkflowInstance) {
    this.#shell = shell;
    this.#lines = new EventLines(shell, instance);
  }

  event(event: EventRecord): void {
    const line = this.#lines.line(event);
    if (line !== null) this.#shell.say(line);
  }

  progress(notice: ProgressNotice): void {
    this.#shell.say(this.#lines.progress(notice));
  }

  remark(text: string): void {
    this.#shell.say(text);
  }

  finish(instance: WorkflowInstance): void {
    this.#shell.say('', ...summaryLines(instance, this.#shell.colors));
  }

  stop(): void {}
}

/** What a log leaves out: each has a neighbour that says the same. */
const QUIET = new Set<EventRecord['type']>([
  'workflow_started',
  'task_started',
  'step_completed',
  'workflow_resumed',
]);
const MAX_SUBJECT = 32;

/** Aligned lines: time since the first event, glyph, stage, words. */
class EventLines {
  readonly #shell: Shell;
  readonly #subjectWidth: number;
  readonly #startedAt = new Map<string, number>();
  #begin: number | null = null;

  constructor(shell: Shell, instance: WorkflowInstance) {
    this.#shell = shell;
    const widths = instance.stages.map((stage) => width(clean(stage.name)));
    this.#subjectWidth = Math.min(MAX_SUBJECT, Math.max(0, ...widths));
    this.#begin = null;
  }

  line(event: EventRecord): string | null {
    this.#begin ??= event.at;
    if (event.type === 'stage_started') this.#startedAt.set(event.stage, event.at);
    if (QUIET.has(event.type)) return null;
    // an allowed action is plain from what follows it
    if (event.type === 'action_authorized' && event.decision.effect === 'allow') return null;
    const { glyph, tone, subject, words } = eventWords(event);
    const took = event.type === 'stage_completed' ? this.#took(event.stage, event.at) : '';
    return this.#format(event.at, toned(this.#shell.colors, tone, glyph), subject, `${words}${took}`);
  }

  progress({ stage, role, progress }: ProgressNotice): string {
    const percent = progress.fraction === null ? '' : ` ${Math.round(progress.fraction * 100)}%`;
    const { colors, clock } = this.#shell;
    return this.#format(
      clock.now(),
      colors.dim('…'),
      clean(stage),
      colors.dim(`${clean(role)}: ${clean(progress.message)}${percent}`),
    );
  }

  #took(stage: string, at: number): string {
    const startedAt = this.#startedAt.get(stage);
    return startedAt === undefined ? '' : ` in ${duration(at - startedAt)}`;
  }

  #format(at: number, glyph: string, subject: string, words: string): string {
    const since = `+${duration(Math.max(0, at - (this.#begin ?? at)))}`;
    return `${this.#shell.colors.dim(since.padStart(8))}  ${glyph} ${padTo(subject, this.#subjectWidth)}  ${words}`;
  }
}
