/** Cron expressions with time zones: the one place that knows the package. */
import { Cron } from 'croner';

/** Times of one cron expression, in milliseconds since the epoch. */
export interface CronTimes {
  /** The first time after `at`; null: there is none any more. */
  next(at: number): number | null;
  /** The last `count` times up to and including `at`, ascending. */
  previous(at: number, count: number): number[];
}

export type ParsedCron = { readonly ok: true; readonly times: CronTimes } | { readonly ok: false };

export function isTimeZone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
    return true;
  } catch {
    return false;
  }
}

/** `timezone` is one ({@link isTimeZone}). Not `ok` for what is no expression. */
export function parseCron(cron: string, timezone: string): ParsedCron {
  try {
    const pattern = new Cron(cron, { timezone, mode: '5-or-6-parts', paused: true });
    return {
      ok: true,
      times: {
        next: (at) => pattern.nextRun(new Date(at))?.getTime() ?? null,
        // it looks at whole seconds, and what it answers lies before the one given
        previous: (at, count) =>
          pattern
            .previousRuns(count, new Date((Math.floor(at / 1_000) + 1) * 1_000))
            .map((time) => time.getTime())
            .sort((a, b) => a - b),
      },
    };
  } catch {
    return { ok: false };
  }
}
