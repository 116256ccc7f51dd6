/** The named moments at which a process can be killed: around whatever an engine does that lasts. */

/** What is written to the database or read from it at once, by words of its statements. */
export const STATEMENTS = {
  bootstrap: /^\s*DEFINE TABLE IF NOT EXISTS migrations/,
  migration: /CREATE \$record CONTENT/,
  fence: /UPSERT \$owner SET fence/,
  tail: /SELECT VALUE id FROM \$range/,
  journal: /INSERT INTO journal/,
  projection: /INSERT INTO workflow_instances/,
  trim: /DELETE \$range RETURN NONE; COMMIT/,
  template: /INTO workflow_templates/,
  blob: /INTO artifact_chunks/,
} as const;
export type Statement = keyof typeof STATEMENTS;

/** A commit is known by what it makes happen. */
export const COMMITS = [
  'workflow_created',
  'workflow_completed',
  'workflow_waiting',
  'workflow_failed',
  'workflow_cancelled',
  'action_authorized',
  'stage_authorized',
  'approval_requested',
  'approval_given',
  'approval_rejected',
  'stage_started',
  'stage_completed',
  'stage_failed',
  'task_dispatched',
  'step_completed',
  'task_completed',
  'task_failed',
  'task_interrupted',
  'task_cancelled',
  'compensation_planned',
  'compensation_started',
  'stage_compensated',
  'compensation_dead_lettered',
] as const;

/** Beside the store. */
export const ACTS = ['open', 'recover', 'dispatch', 'spawn', 'begin', 'effect', 'done', 'close'] as const;
export type Act = (typeof ACTS)[number];

export const SIDES = ['before', 'during', 'after'] as const;
export type Side = (typeof SIDES)[number];

/** `during`: what was asked for is under way in another thread. */
const hasDuring = (name: string): boolean => name in STATEMENTS || name === 'open' || name === 'close';

function sidesOf(name: string): string[] {
  return SIDES.filter((side) => side !== 'during' || hasDuring(name)).map((side) => `${name} ${side}`);
}

export const POINTS: readonly string[] = [
  ...[...Object.keys(STATEMENTS), ...ACTS].flatMap(sidesOf),
  ...COMMITS.flatMap((event) => sidesOf(`commit of ${event}`)),
];

/** The variable that names one, as `<count> <name>`: the process is killed when it gets there for that time. */
export const KILL_VARIABLE = 'TORTURE_KILL';

export function statementOf(text: string): Statement | null {
  for (const [name, words] of Object.entries(STATEMENTS)) if (words.test(text)) return name as Statement;
  return null;
}
