/** What starts instances besides people: the tables of triggers, cross-checked. */

import type { WorkflowTemplate } from '../core/template.js';
import {
  chainProblems,
  MAX_CHAIN,
  type ScheduleTrigger,
  type Trigger,
  type TriggerInitiator,
  type WebhookTrigger,
} from '../core/trigger.js';
import { isTimeZone, parseCron } from './cron.js';
import { type DocumentNode, findNode, originOf } from './document.js';
import { reportRepeated } from './repeated.js';
import type { Report } from './report.js';
import type { WorkflowRow } from './schema.js';
import { toMs } from './settings.js';
import { type KeyPath, quoted } from './text.js';
import { DEFAULT_CATCH_UP_SECONDS, DEFAULT_TOLERANCE_SECONDS } from './trigger-schema.js';
import { VARIABLE } from './variable.js';

interface Where {
  readonly path: KeyPath;
  readonly root: DocumentNode;
  readonly report: Report;
}

/** The table that each trigger is described in. */
const TABLES = { schedule: 'schedule', webhook: 'webhook', workflow: 'after' } as const;

/** `manual` also where the report has been told of an error. */
export function buildTrigger(row: WorkflowRow, where: Where): 'manual' | Trigger {
  const kind = row.trigger ?? 'manual';
  for (const [other, key] of Object.entries(TABLES)) {
    if (other === kind || row[key] === undefined) continue;
    const expected = `\`trigger = "${other}"\` beside it`;
    reportAt([key], `\`${key}\` of workflow ${quoted(row.name)} belongs to another trigger`, where, expected);
  }
  if (kind === 'manual') return 'manual';
  const key = TABLES[kind];
  const trigger = { schedule, webhook, workflow }[kind](row, where);
  // a table that is there and wrong has been reported by its reader
  if (trigger === null && findNode(where.root, [...where.path, key]) === undefined) {
    const message = `workflow ${quoted(row.name)} has \`trigger = "${kind}"\` and no \`[workflows.${key}]\``;
    reportAt(['trigger'], message, where, `\`[workflows.${key}]\` under it`);
  }
  return trigger ?? 'manual';
}

function reportAt(keys: KeyPath, message: string, { path, root, report }: Where, expected: string): void {
  const at = [...path, ...keys];
  report.error({ message, path: at, origin: originOf(root, at), expected });
}

function initiatorOf(
  row: {
    readonly initiator: string | undefined;
    readonly groups: readonly (string | undefined)[] | undefined;
  },
  user: string,
): TriggerInitiator {
  return { user: row.initiator ?? user, groups: (row.groups ?? []).filter((group) => group !== undefined) };
}

function schedule({ name, schedule: row }: WorkflowRow, where: Where): ScheduleTrigger | null {
  if (row === undefined) return null;
  const timezone = row.timezone ?? 'UTC';
  if (!isTimeZone(timezone)) {
    const message = `schedule of workflow ${quoted(name)} has unknown time zone ${quoted(timezone)}`;
    reportAt(
      ['schedule', 'timezone'],
      message,
      where,
      'a name of the IANA database, such as `Europe/Berlin`',
    );
    return null;
  }
  if (!parseCron(row.cron, timezone).ok) {
    const message = `schedule of workflow ${quoted(name)} has ${quoted(row.cron)}, which is no cron expression`;
    reportAt(
      ['schedule', 'cron'],
      message,
      where,
      'five fields, such as `30 2 * * 1-5`, or six with seconds first',
    );
    return null;
  }
  return {
    kind: 'schedule',
    cron: row.cron,
    timezone,
    overlap: row.overlap ?? 'skip',
    catchUp: row.catch_up ?? 'latest',
    catchUpWithinMs: toMs(row.catch_up_within ?? DEFAULT_CATCH_UP_SECONDS),
    initiator: initiatorOf(row, `schedule:${name}`),
    input: row.input ?? {},
  };
}

/** RFC 6901: empty, or references that each begin with a slash. */
const POINTER = /^(?:\/(?:[^~/]|~[01])*)*$/;

function webhook({ name, webhook: row }: WorkflowRow, where: Where): WebhookTrigger | null {
  if (row === undefined) return null;
  const subject = `webhook of workflow ${quoted(name)}`;
  if (!VARIABLE.test(row.secret_env)) {
    // it may well be the secret itself
    const message = `${subject} has a \`secret_env\` that is no name of a variable`;
    reportAt(
      ['webhook', 'secret_env'],
      message,
      where,
      'letters, digits and `_`; the secret itself never stands in the file',
    );
  }
  const pointers = [
    ...[...(row.input ?? [])].map(([key, pointer]) => [['webhook', 'input', key], pointer] as const),
    ...[...(row.match ?? [])].map(([pointer]) => [['webhook', 'match', pointer], pointer] as const),
  ];
  for (const [path, pointer] of pointers) {
    if (POINTER.test(pointer)) continue;
    const message = `${subject} has ${quoted(pointer)}, which is no JSON Pointer`;
    reportAt(path, message, where, 'a slash before each key, such as `/release/tag`');
  }
  return {
    kind: 'webhook',
    scheme: row.scheme ?? 'standard',
    secretEnv: row.secret_env,
    toleranceMs: toMs(row.tolerance ?? DEFAULT_TOLERANCE_SECONDS),
    initiator: initiatorOf(row, `webhook:${name}`),
    input: row.input === undefined ? null : [...row.input],
    match: [...(row.match ?? [])],
  };
}

function workflow({ name, after: row }: WorkflowRow, where: Where): Trigger | null {
  if (row === undefined) return null;
  const { path, root, report } = where;
  const twice = (state: string) => `\`after.states\` names ${state} twice`;
  reportRepeated(row.states ?? [], (at) => [...path, 'after', 'states', at], twice, root, report);
  if (row.initiator === undefined && row.groups !== undefined) {
    const at = [...path, 'after', 'groups'];
    const message = `\`groups\` of the trigger of workflow ${quoted(name)} has no effect without \`initiator\``;
    report.warn({ message, path: at, origin: originOf(root, at) });
  }
  return {
    kind: 'workflow',
    workflow: row.workflow,
    states: (row.states ?? ['completed']).filter((state) => state !== undefined),
    initiator: row.initiator === undefined ? null : initiatorOf(row, row.initiator),
  };
}

/** `pathOf` says where a template stands. */
export function checkChains(
  templates: ReadonlyMap<string, WorkflowTemplate>,
  pathOf: (name: string) => KeyPath,
  root: DocumentNode,
  report: Report,
): void {
  for (const [name, { code, trail }] of chainProblems(templates)) {
    const path = [...pathOf(name), 'after', 'workflow'];
    const origin = originOf(root, path);
    const subject = `workflow ${quoted(name)}`;
    if (code === 'unknown') {
      const unknown = trail[0] ?? '';
      const message = `${subject} is triggered by unknown workflow ${quoted(unknown)}`;
      const hint = report.meant(unknown, templates.keys());
      report.error({ message, path, origin, expected: 'the name of a workflow of the same file', hint });
    } else if (code === 'circle') {
      report.error({ message: `workflows trigger each other in a circle: ${chain(trail)}`, path, origin });
    } else {
      const message = `${subject} is the end of a chain of ${trail.length} workflows that trigger each other`;
      report.error({ message, path, origin, expected: `at most ${MAX_CHAIN}` });
    }
  }
}

function chain(trail: readonly string[]): string {
  return [...trail].reverse().map(quoted).join(' -> ');
}
