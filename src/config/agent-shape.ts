/** The format of `[[agents]]`. */
import {
  integer,
  json,
  list,
  map,
  name,
  number,
  optional,
  type RowOf,
  required,
  table,
  text,
} from './shape.js';

const MAX_SECONDS = 366 * 86_400;
const seconds = number(0.001, MAX_SECONDS, 'seconds');
const roles = { min: 1, max: 100 } as const;

export const DEFAULT_MODEL = { artifact: 'answer', kind: 'documentation' } as const;

const agentTable = table('an agent', {
  name: required(name, 'Unique within the file.'),
  roles: required(list(name, roles, 'roles'), 'Roles that the agent takes tasks for.'),
  max_concurrent: optional(integer(1, 10_000), 'Tasks at once.', 1),
  command: optional(
    list(text('a text without NUL', 0), { min: 1, max: 1_000 }, 'arguments, the program first'),
    'Of an agent that is a program: it and its arguments, run without a shell. A program path with a `/` is relative to this file, any other name is looked up in PATH.',
  ),
  cwd: optional(
    text('the path of a directory'),
    "Working directory, relative to this file; by default this file's directory.",
    '.',
  ),
  env: optional(
    map(text('a text without NUL', 0), 'environment variables', {
      isValid: (key) => /^[^=\0]+$/.test(key),
      expected: 'a variable name without `=` and NUL',
      pattern: '^[^=\\u0000]+$',
    }),
    'Environment variables for the program, beside those that it gets from the engine.',
  ),
  url: optional(
    text('a URL'),
    'Of an agent that is called: where each attempt is posted, signed. Its host has to be listed in `[engine.outbound]`.',
  ),
  secret_env: optional(
    text('the name of an environment variable'),
    'With `url`: environment variable of the engine that holds the secret that calls and answers are signed with.',
  ),
  model: optional(
    text('the name of a model'),
    'Of an agent that is a language model: its name, as the service at `base_url` knows it.',
  ),
  base_url: optional(
    text('a URL'),
    'With `model`: where a service speaks the protocol of OpenAI, such as `http://127.0.0.1:11434/v1`. Its host has to be listed in `[engine.outbound]`.',
  ),
  api_key_env: optional(
    text('the name of an environment variable'),
    'With `model`: environment variable of the engine that holds the key of the service. Without it none is sent.',
  ),
  system: optional(text('a text'), 'With `model`: what the model is told about itself.'),
  prompt: optional(
    text('a prompt'),
    'With `model`: the prompt, with `{{…}}` where something of the task comes in.',
  ),
  schema: optional(
    json,
    'With `model`: JSON Schema that the answer has to follow; without it the answer is text.',
  ),
  artifact: optional(
    name,
    'With `model`: name of the artifact that the answer becomes.',
    DEFAULT_MODEL.artifact,
  ),
  kind: optional(name, 'With `model`: its kind.', DEFAULT_MODEL.kind),
  max_output_tokens: optional(
    integer(1, 10_000_000),
    'With `model`: tokens of an answer at most. One that is cut off by it fails.',
  ),
  temperature: optional(number(0, 2), 'With `model`: how much chance there is in the answer.'),
  price: optional(
    table('`price`', {
      input: optional(number(0, 1_000_000, 'US dollars'), 'US dollars for a million tokens that go in.', 0),
      output: optional(
        number(0, 1_000_000, 'US dollars'),
        'US dollars for a million tokens that come out.',
        0,
      ),
    }),
    'With `model`: what tokens cost, for budgets.',
  ),
  timeout: optional(
    seconds,
    'Seconds that one attempt may take. Without it there is no limit for a program; a call has 60 seconds, an answer that comes later a day, and a model 10 minutes.',
  ),
});

/** Editors learn what makes an agent; the reader's own check is in `agents.ts`. */
export const agentShape: typeof agentTable = {
  ...agentTable,
  schema: {
    ...agentTable.schema,
    oneOf: [
      { properties: { command: {} }, required: ['command'] },
      { properties: { url: {}, secret_env: {} }, required: ['url', 'secret_env'] },
      { properties: { model: {}, base_url: {}, prompt: {} }, required: ['model', 'base_url', 'prompt'] },
    ],
  },
};

export type AgentRow = RowOf<typeof agentShape>;
