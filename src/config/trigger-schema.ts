/** The format of triggers: `[workflows.schedule]`, `[workflows.webhook]`, `[workflows.after]`. */
import { choice, integer, json, list, map, name, number, optional, required, table, text } from './shape.js';

const DAY_SECONDS = 86_400;
const MAX_CATCH_UP_SECONDS = 366 * DAY_SECONDS;
/** A signature that holds for longer is hardly a protection against replays. */
const MAX_TOLERANCE_SECONDS = 3_600;

export const DEFAULT_CATCH_UP_SECONDS = DAY_SECONDS;
export const DEFAULT_TOLERANCE_SECONDS = 300;

const principalName = text('the name of a person or group');
const initiator = (fallback: string) =>
  optional(principalName, `In whose name instances start: what policies see. By default ${fallback}.`);
const groups = optional(
  list(principalName, { min: 0, max: 256 }, 'group names'),
  "The initiator's groups.",
  [],
);

export const scheduleShape = table('`[workflows.schedule]`', {
  cron: required(
    text('a cron expression: minute, hour, day of month, month, day of week; seconds may stand in front'),
    'Cron expression: minute, hour, day of month, month, day of week. A sixth field in front is the second.',
  ),
  timezone: optional(
    text('a time zone such as `Europe/Berlin`'),
    'Time zone that the expression is read in.',
    'UTC',
  ),
  overlap: optional(
    choice(['skip', 'wait', 'allow']),
    'What happens when it is time and the instance before has not ended: no start, a start once it has, a start at once.',
    'skip',
  ),
  catch_up: optional(
    choice(['skip', 'latest', 'all']),
    'What happens with times that passed while no server was running: nothing, one start for the latest, a start for each.',
    'latest',
  ),
  catch_up_within: optional(
    integer(1, MAX_CATCH_UP_SECONDS, 'seconds'),
    'Seconds after which a time that passed is not caught up any more.',
    DEFAULT_CATCH_UP_SECONDS,
  ),
  initiator: initiator('`schedule:NAME`'),
  groups,
  input: optional(json, 'Input of every instance.', {}),
});

const pointers = (what: string) =>
  map(text('a JSON Pointer, such as `/release/tag`', 0), what, {
    isValid: () => true,
    expected: 'any key',
    pattern: '^',
  });

export const webhookShape = table('`[workflows.webhook]`', {
  secret_env: required(
    text('the name of an environment variable'),
    'Environment variable of the server that holds the secret that requests are signed with.',
  ),
  scheme: optional(
    choice(['standard', 'github']),
    'How requests are signed: as in Standard Webhooks (`webhook-signature`), or as GitHub does it (`X-Hub-Signature-256`).',
    'standard',
  ),
  tolerance: optional(
    number(1, MAX_TOLERANCE_SECONDS, 'seconds'),
    "Seconds that the request's time may be away from the server's; with `standard` only.",
    DEFAULT_TOLERANCE_SECONDS,
  ),
  input: optional(
    pointers('JSON Pointers'),
    'Input by key: where in the body each value stands, as a JSON Pointer. Without it the body is the input.',
  ),
  match: optional(
    pointers('texts by JSON Pointer'),
    'Text that the body must have at a JSON Pointer; a request without it starts nothing.',
  ),
  initiator: initiator('`webhook:NAME`'),
  groups,
});

export const afterShape = table('`[workflows.after]`', {
  workflow: required(name, 'Workflow of the same file whose ends start this one.'),
  states: optional(
    list(choice(['completed', 'failed', 'cancelled']), { min: 1, max: 3 }, 'states'),
    'Ends that count.',
    ['completed'],
  ),
  initiator: initiator('that of the instance that ended'),
  groups,
});
