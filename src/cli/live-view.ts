/** The view on a terminal: the stages, redrawn in place, and at the end what became of them. */
import type { InstanceArtifact, WorkflowApi } from '../core/api.js';
import type { EventRecord } from '../core/events.js';
import { isInFlight, type StageState, type TaskState, type WorkflowInstance } from '../core/instance.js';
import { COMPENSATION_LOOKS, INSTANCE_LOOKS, type Palette, stageLook, toned } from './palette.js';
import type { Shell } from './shell.js';
import { summaryLines } from './summary.js';
import { clean, cutTo, duration, padTo, width } from './text.js';
import type { ProgressNotice, View } from './view.js';

const FRAME_MS = 100;
const MAX_NAME = 32;
const TIME_WIDTH = 7;
/** Left of a line for what is said about a stage, gaps included. */
const MIN_DETAIL = 18;
/** Where a terminal does not say. */
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

export interface Picture {
  readonly instance: WorkflowInstance;
  /** What agents said last, by {@link progressKey}. */
  readonly progress: ReadonlyMap<string, string>;
  readonly now: number;
  readonly columns: number;
  readonly rows: number;
}

export function progressKey(stage: string, role: string): string {
  return JSON.stringify([stage, role]);
}

/** The lines of one frame, each at most `columns` wide, at most `rows - 1` of them. */
export function pictureLines(picture: Picture, colors: Palette): string[] {
  const { instance, now, columns, rows } = picture;
  const look = INSTANCE_LOOKS[instance.status];
  const head = `${clean(instance.templateName)} ${clean(instance.id)}`;
  const state = instance.status.replace('_', ' ');
  const since = duration((instance.endedAt ?? now) - instance.createdAt);
  const kept = cutTo(head, columns - state.length - since.length - 6);
  const first = `${toned(colors, look.tone, look.glyph)} ${colors.bold(kept)}  ${toned(colors, look.tone, state)}  ${colors.dim(since)}`;
  const names = Math.max(0, ...instance.stages.map((stage) => width(clean(stage.name))));
  const nameWidth = Math.max(1, Math.min(MAX_NAME, names, columns - TIME_WIDTH - MIN_DETAIL));
  const room = Math.max(1, rows - 4);
  const { from, to } = windowOf(instance.stages, room);
  const lines = instance.stages.slice(from, to).map((stage) => stageLine(stage, picture, nameWidth, colors));
  if (from > 0) lines.unshift(colors.dim(`    … ${from} before`));
  if (to < instance.stages.length) lines.push(colors.dim(`    … ${instance.stages.length - to} more`));
  return [first, ...lines];
}

/** As many stages as there is room for, around the first that is not completed. */
function windowOf(stages: readonly StageState[], room: number): { from: number; to: number } {
  if (stages.length <= room) return { from: 0, to: stages.length };
  const at = stages.findIndex(
    (stage) => stage.status !== 'completed' || stage.compensation.status === 'running',
  );
  const middle = at === -1 ? stages.length : at;
  const from = Math.max(0, Math.min(middle - Math.floor(room / 3), stages.length - room));
  return { from, to: from + room };
}

function stageLine(stage: StageState, picture: Picture, nameWidth: number, colors: Palette): string {
  const undo = COMPENSATION_LOOKS[stage.compensation.status];
  const look = undo !== null && undo.glyph !== '-' ? undo : stageLook(stage);
  const name = padTo(cutTo(clean(stage.name), nameWidth), nameWidth);
  const time = stageTime(stage, picture.now).padStart(TIME_WIDTH);
  const room = picture.columns - nameWidth - TIME_WIDTH - 9;
  const detail = cutTo(stageDetail(stage, picture), room);
  const shown = look.tone === 'quiet' ? colors.dim(name) : name;
  const end = undo === null ? colors.dim(detail) : toned(colors, undo.tone, detail);
  const said = stage.status === 'failed' && look !== undo ? colors.red(detail) : end;
  return `  ${toned(colors, look.tone, look.glyph)} ${shown}  ${colors.dim(time)}  ${said}`.trimEnd();
}

function stageTime(stage: StageState, now: number): string {
  if (stage.startedAt === null) return '';
  return duration((stage.endedAt ?? now) - stage.startedAt);
}

/** The one thing about a stage that matters most now. */
export function stageDetail(stage: StageState, picture: Pick<Picture, 'progress'>): string {
  const undo = COMPENSATION_LOOKS[stage.compensation.status];
  const error = stage.error === null ? '' : clean(stage.error.message);
  if (undo !== null) {
    const who = stage.compensation.tasks.filter(isInFlight).map((task) => taskWords(task, stage, picture));
    const reason = stage.compensation.status === 'skipped' ? stage.compensation.reason : null;
    // why a stage failed matters more than what became of it, unless that is going on
    const isFirst = who.length === 0;
    const parts = [
      isFirst ? error : '',
      undo.words,
      ...who,
      reason === null ? '' : clean(reason),
      isFirst ? '' : error,
    ];
    return parts.filter(Boolean).join(' · ');
  }
  if (error !== '') return error;
  if (stage.block !== null) return clean(stage.block.message);
  if (stage.status === 'waiting_approval') return 'waits for an approval';
  const busy = stage.tasks.filter((task) => isInFlight(task));
  if (busy.length > 0) return busy.map((task) => taskWords(task, stage, picture)).join(' · ');
  const waiting = stage.tasks.find((task) => task.status === 'pending' && task.error !== null);
  if (stage.status === 'running' && waiting?.error) return `tries again: ${clean(waiting.error.message)}`;
  return agentsOf(stage);
}

function agentsOf(stage: StageState): string {
  const agents = new Set(stage.tasks.flatMap((task) => (task.agent === null ? [] : [clean(task.agent)])));
  return [...agents].join(', ');
}

function taskWords(task: TaskState, stage: StageState, picture: Pick<Picture, 'progress'>): string {
  const attempt = task.attempt > 1 ? ` attempt ${task.attempt}` : '';
  const said = picture.progress.get(progressKey(stage.name, task.role));
  return `${clean(task.agent ?? task.role)}${attempt}${said === undefined ? '' : `: ${said}`}`;
}

/** Redraws what {@link pictureLines} says while the instance runs. */
export class LiveView implements View {
  readonly #shell: Shell;
  readonly #api: WorkflowApi;
  readonly #progress = new Map<string, string>();
  #instance: WorkflowInstance;
  #isStale = false;
  #drawn = 0;
  #cancel: (() => void) | null = null;

  constructor(shell: Shell, api: WorkflowApi, instance: WorkflowInstance) {
    this.#shell = shell;
    this.#api = api;
    this.#instance = instance;
    shell.host.stdout.write(HIDE_CURSOR);
    shell.drawAround((write) => this.#beside(write));
    this.#draw();
    this.#schedule();
  }

  event(event: EventRecord): void {
    if (event.type === 'task_dispatched') this.#progress.delete(progressKey(event.stage, event.role));
    this.#isStale = true;
  }

  progress({ stage, role, progress }: ProgressNotice): void {
    const percent = progress.fraction === null ? '' : ` ${Math.round(progress.fraction * 100)}%`;
    this.#progress.set(progressKey(stage, role), `${clean(progress.message)}${percent}`);
  }

  remark(text: string): void {
    this.#beside(() => this.#shell.say(text));
  }

  finish(instance: WorkflowInstance, _artifacts: readonly InstanceArtifact[]): void {
    this.#instance = instance;
    this.stop();
    const whole = { ...this.#picture(), rows: Number.POSITIVE_INFINITY };
    const { colors } = this.#shell;
    // the first line says less than the summary does
    this.#shell.say(...pictureLines(whole, colors).slice(1), '', ...summaryLines(instance, colors));
  }

  stop(): void {
    if (this.#cancel === null) return;
    this.#cancel();
    this.#cancel = null;
    this.#shell.drawAround(null);
    this.#clear();
    this.#shell.host.stdout.write(SHOW_CURSOR);
  }

  #beside(write: () => void): void {
    this.#clear();
    write();
    this.#draw();
  }

  #schedule(): void {
    this.#cancel = this.#shell.clock.after(FRAME_MS, () => {
      this.#frame()
        .catch(() => undefined) // whoever drives the instance hears of the same error
        .then(() => {
          if (this.#cancel !== null) this.#schedule();
        });
    });
  }

  async #frame(): Promise<void> {
    if (this.#isStale) {
      this.#isStale = false;
      this.#instance = await this.#api.get(this.#instance.id);
    }
    if (this.#cancel === null) return;
    this.#draw();
  }

  #picture(): Picture {
    const { columns, rows } = this.#shell.host.stdout;
    return {
      instance: this.#instance,
      progress: this.#progress,
      now: this.#shell.clock.now(),
      // some terminals say 0
      columns: columns || DEFAULT_COLUMNS,
      rows: rows || DEFAULT_ROWS,
    };
  }

  #draw(): void {
    const lines = pictureLines(this.#picture(), this.#shell.colors);
    // one write a frame, so that nothing flickers
    this.#shell.host.stdout.write(`${this.#home()}${lines.join('\n')}\n`);
    this.#drawn = lines.length;
  }

  #clear(): void {
    this.#shell.host.stdout.write(this.#home());
    this.#drawn = 0;
  }

  /** Back to the first drawn line, everything from there on erased. */
  #home(): string {
    return this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A\r\u001b[J`;
  }
}
