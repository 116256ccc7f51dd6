/** Colours, and the glyphs that stand for states. */
import yoctocolors from 'yoctocolors';
import type { CompensationStatus, InstanceStatus, StageState, StageStatus } from '../core/instance.js';

type Paint = (text: string) => string;

export interface Palette {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly blue: Paint;
  readonly cyan: Paint;
  readonly magenta: Paint;
}

const same: Paint = (text) => text;
export const NO_COLORS: Palette = {
  bold: same,
  dim: same,
  red: same,
  green: same,
  yellow: same,
  blue: same,
  cyan: same,
  magenta: same,
};

/** Colours only on a terminal that has not been told otherwise. */
export function paletteFor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv): Palette {
  return stream.isTTY === true && wantsColors(env) ? yoctocolors : NO_COLORS;
}

/** `NO_COLOR` (set and not empty) and dumb terminals get plain text. */
export function wantsColors(env: NodeJS.ProcessEnv): boolean {
  return (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}

export type Tone = 'good' | 'bad' | 'busy' | 'wait' | 'undo' | 'quiet';

const TONE_COLORS = {
  good: 'green',
  bad: 'red',
  busy: 'cyan',
  wait: 'yellow',
  undo: 'magenta',
  quiet: 'dim',
} as const satisfies Record<Tone, keyof Palette>;

export function toned(palette: Palette, tone: Tone, text: string): string {
  return palette[TONE_COLORS[tone]](text);
}

interface Look {
  readonly glyph: string;
  readonly tone: Tone;
}

export const INSTANCE_LOOKS: Readonly<Record<InstanceStatus, Look>> = {
  draft: { glyph: '·', tone: 'quiet' },
  active: { glyph: '●', tone: 'busy' },
  waiting_approval: { glyph: '?', tone: 'wait' },
  blocked: { glyph: '!', tone: 'wait' },
  compensating: { glyph: '↩', tone: 'undo' },
  completed: { glyph: '✓', tone: 'good' },
  failed: { glyph: '✗', tone: 'bad' },
  cancelled: { glyph: '✗', tone: 'bad' },
};

const STAGE_LOOKS: Readonly<Record<StageStatus, Look>> = {
  pending: { glyph: '·', tone: 'quiet' },
  waiting_approval: { glyph: '?', tone: 'wait' },
  running: { glyph: '●', tone: 'busy' },
  completed: { glyph: '✓', tone: 'good' },
  failed: { glyph: '✗', tone: 'bad' },
  skipped: { glyph: '-', tone: 'quiet' },
};

/** How a stage stands to those who look at it: a block is no status of its own, and yet what matters. */
export function stageLook({ status, block }: StageState): Look & { readonly words: string } {
  if (block !== null && status !== 'failed') return { ...INSTANCE_LOOKS.blocked, words: 'blocked' };
  return { ...STAGE_LOOKS[status], words: status.replace('_', ' ') };
}

/** Null: nothing to say about it. */
export const COMPENSATION_LOOKS: Readonly<
  Record<CompensationStatus, (Look & { readonly words: string }) | null>
> = {
  none: null,
  planned: { glyph: '↩', tone: 'quiet', words: 'to be taken back' },
  running: { glyph: '↩', tone: 'undo', words: 'being taken back' },
  compensated: { glyph: '↩', tone: 'undo', words: 'taken back' },
  dead_lettered: { glyph: '!', tone: 'bad', words: 'not taken back: dead letter' },
  resolved: { glyph: '↩', tone: 'undo', words: 'resolved by hand' },
  skipped: { glyph: '-', tone: 'quiet', words: 'kept as it is' },
};
