import { describe, expect, it } from 'vitest';
import { VaporaError } from '../core/errors.js';
import { parseConfig } from './load.js';
import { formatProblem } from './report.js';

const parse = (text: string) => parseConfig(text, { file: 'workflows.toml' }, {});

function errorOf(text: string): VaporaError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof VaporaError) return error;
    throw error;
  }
  throw new Error('the text was accepted');
}
const formatted = (text: string) => errorOf(text).problems.map(formatProblem);

const stages = (...bodies: string[]) =>
  `[[workflows]]\nname = "w"\nstages = [\n${bodies.map((body) => `  { ${body} },`).join('\n')}\n]`;

// Each text, and the one problem it has.
const cases: [string, string, string][] = [
  ['no value', 'a = \n', '1:4: the text is not TOML: unspecified values are invalid'],
  ['an open table header', '[engine\n', '1:8: the text is not TOML: unterminated table-key'],
  [
    'a key twice',
    '[engine]\nstore = "mem://"\nstore = "mem://"',
    '3:1: the text is not TOML: defining a key multiple times is invalid',
  ],
  [
    'a table twice',
    '[engine]\n[engine]',
    '2:2: the text is not TOML: defining a key multiple times is invalid',
  ],
  [
    'NUL in a string',
    'a = "\0"',
    '1:6: the text is not TOML: control characters (codes < 0x1f and 0x7f) are not allowed',
  ],
  [
    'an unknown key',
    '[engine]\nstoer = "mem://"',
    '2:1: unknown key `stoer` in `[engine]`, expected one of `max_parallel_tasks`, `workflow_timeout`, `approval_gates_enabled`, `cedar_policy_dir`, `store`, `on_deny`, `saga_parallelism`, `agent_lease`, `retention`, `outbound`, `limits` (did you mean `store`?)',
  ],
  [
    '__proto__ as a key',
    '__proto__ = 1',
    '1:1: unknown key `__proto__` in the document, expected one of `engine`, `server`, `workflows`, `agents`',
  ],
  [
    'an unknown table',
    '[constructor.prototype]\nx = 1',
    '1:2: unknown key `constructor` in the document, expected one of `engine`, `server`, `workflows`, `agents`',
  ],
  [
    'a value of another type',
    '[engine]\nmax_parallel_tasks = "4"',
    '2:22: `engine.max_parallel_tasks` is `4`, expected a whole number from 1 to 100000',
  ],
  [
    'a fraction',
    '[engine]\nmax_parallel_tasks = 1.5',
    '2:22: `engine.max_parallel_tasks` is `1.5`, expected a whole number from 1 to 100000',
  ],
  [
    'a number beyond all bounds',
    '[engine]\nmax_parallel_tasks = 99999999999999999999',
    '2:22: `engine.max_parallel_tasks` is `99999999999999999999`, expected a whole number from 1 to 100000',
  ],
  [
    'no number',
    '[engine]\nworkflow_timeout = nan',
    '2:20: `engine.workflow_timeout` is `nan`, expected seconds from 0.001 to 31622400',
  ],
  [
    'a date',
    '[engine]\ncedar_policy_dir = 2026-01-01',
    '2:20: `engine.cedar_policy_dir` is a date or time, expected the path of a directory',
  ],
  [
    'a near choice',
    '[engine]\non_deny = "blok"',
    '2:11: `engine.on_deny` is `blok`, expected `block` or `compensate` (did you mean `block`?)',
  ],
  [
    'an unknown store',
    '[engine]\nstore = "rocksbd://x"',
    '2:9: store `rocksbd://x` has the unknown scheme `rocksbd`, expected one of `mem://`, `rocksdb://`, `surrealkv://`, `ws://`, `wss://`, `http://`, `https://` (did you mean `rocksdb`?)',
  ],
  [
    'a store path',
    '[engine]\nstore = "data/x"',
    '2:9: store `data/x` is no URL, expected one of `mem://`, `rocksdb://`, `surrealkv://`, `ws://`, `wss://`, `http://`, `https://`',
  ],
  [
    'a store without a path',
    '[engine]\nstore = "rocksdb://"',
    '2:9: store `rocksdb://` has no path, expected `rocksdb://PATH`',
  ],
  [
    'a path in memory',
    '[engine]\nstore = "mem://x"',
    '2:9: store `mem://x` has something behind `mem://`, expected `mem://`, which takes no path',
  ],
  [
    'a bad server, its password kept back',
    '[engine]\nstore = "ws://root:secret@:80:80"',
    '2:9: store `ws://***@:80:80` is no valid URL, expected `ws://HOST:PORT`',
  ],
  [
    'a server whose password is not encoded',
    '[engine]\nstore = "ws://root:sec/ret@host"',
    '2:9: store `ws://***@host` is no valid URL, expected `ws://HOST:PORT`',
  ],
  [
    'a trigger that is none',
    '[[workflows]]\nname = "w"\ntrigger = "shedule"\nstages = [{ name = "s", agents = ["r"] }]',
    '3:11: `workflows[0].trigger` is `shedule`, expected `manual` or `schedule` or `webhook` or `workflow` (did you mean `schedule`?)',
  ],
  [
    'a trigger without its table',
    '[[workflows]]\nname = "w"\ntrigger = "workflow"\nstages = [{ name = "s", agents = ["r"] }]',
    '3:11: workflow `w` has `trigger = "workflow"` and no `[workflows.after]`, expected `[workflows.after]` under it',
  ],
  [
    'the table of another trigger',
    '[[workflows]]\nname = "w"\nschedule = { cron = "* * * * *" }\nstages = [{ name = "s", agents = ["r"] }]',
    '3:12: `schedule` of workflow `w` belongs to another trigger, expected `trigger = "schedule"` beside it',
  ],
  [
    'a cron expression that is none',
    '[[workflows]]\nname = "w"\ntrigger = "schedule"\nschedule = { cron = "0 25 * * *" }\nstages = [{ name = "s", agents = ["r"] }]',
    '4:21: schedule of workflow `w` has `0 25 * * *`, which is no cron expression, expected five fields, such as `30 2 * * 1-5`, or six with seconds first',
  ],
  [
    'a time zone that is none',
    '[[workflows]]\nname = "w"\ntrigger = "schedule"\nschedule = { cron = "* * * * *", timezone = "Europe/Berln" }\nstages = [{ name = "s", agents = ["r"] }]',
    '4:45: schedule of workflow `w` has unknown time zone `Europe/Berln`, expected a name of the IANA database, such as `Europe/Berlin`',
  ],
  [
    'an input that JSON does not have',
    '[[workflows]]\nname = "w"\ntrigger = "schedule"\nschedule = { cron = "* * * * *", input = { at = 2026-01-01 } }\nstages = [{ name = "s", agents = ["r"] }]',
    '4:49: `workflows[0].schedule.input.at` is a date or time, expected a value that JSON has: text, a number, `true`, `false`, a list or a table',
  ],
  [
    'a secret in the file, kept back',
    '[[workflows]]\nname = "w"\ntrigger = "webhook"\nwebhook = { secret_env = "whsec_c2VjcmV0/+=" }\nstages = [{ name = "s", agents = ["r"] }]',
    '4:26: webhook of workflow `w` has a `secret_env` that is no name of a variable, expected letters, digits and `_`; the secret itself never stands in the file',
  ],
  [
    'a pointer that is none',
    '[[workflows]]\nname = "w"\ntrigger = "webhook"\nwebhook = { secret_env = "S", input = { tag = "release.tag" } }\nstages = [{ name = "s", agents = ["r"] }]',
    '4:47: webhook of workflow `w` has `release.tag`, which is no JSON Pointer, expected a slash before each key, such as `/release/tag`',
  ],
  [
    'a trigger by a workflow that is none',
    '[[workflows]]\nname = "deploy"\ntrigger = "workflow"\nafter = { workflow = "deplay" }\nstages = [{ name = "s", agents = ["r"] }]',
    '4:22: workflow `deploy` is triggered by unknown workflow `deplay`, expected the name of a workflow of the same file (did you mean `deploy`?)',
  ],
  [
    'no name',
    '[[workflows]]\nstages = [{ name = "s", agents = ["r"] }]',
    '1:1: `workflows[0]` has no `name`, expected a name: 1 to 128 letters, digits, `-`, `_` or `.`',
  ],
  [
    'a workflow that is a table',
    '[workflows]\nname = "w"',
    '1:1: `workflows` is a table, expected a list of workflows',
  ],
  [
    'a name with NUL',
    stages('name = "a\\u0000b", agents = ["r"]'),
    '4:12: `workflows[0].stages[0].name` is `a\\u{0000}b`, expected a name: 1 to 128 letters, digits, `-`, `_` or `.`',
  ],
  [
    'a name with a path',
    stages('name = "../a", agents = ["r"]'),
    '4:12: `workflows[0].stages[0].name` is `../a`, expected a name: 1 to 128 letters, digits, `-`, `_` or `.`',
  ],
  [
    'an empty name',
    stages('name = "", agents = ["r"]'),
    '4:12: `workflows[0].stages[0].name` is empty, expected a name: 1 to 128 letters, digits, `-`, `_` or `.`',
  ],
  [
    'a huge name',
    stages(`name = "${'x'.repeat(10_000)}", agents = ["r"]`),
    `4:12: \`workflows[0].stages[0].name\` is \`${'x'.repeat(79)}…\`, expected a name: 1 to 128 letters, digits, \`-\`, \`_\` or \`.\``,
  ],
  [
    'no agents',
    stages('name = "s", agents = []'),
    '4:26: `workflows[0].stages[0].agents` has 0 items, expected a list of one or more agent roles',
  ],
  [
    'a role twice',
    stages('name = "s", agents = ["r", "r"]'),
    '4:32: stage `s` names agent role `r` twice in `agents` (the first is on line 4)',
  ],
  [
    'a stage twice',
    stages('name = "s", agents = ["r"]', 'name = "s", agents = ["r"]'),
    '5:12: stage `s` is defined twice in workflow `w` (the first is on line 4)',
  ],
  [
    'a workflow twice',
    `${stages('name = "s", agents = ["r"]')}\n${stages('name = "s", agents = ["r"]')}`,
    '7:8: workflow `w` is defined twice (the first is on line 2)',
  ],
  [
    'an agent twice',
    '[[agents]]\nname = "a"\nroles = ["r"]\ncommand = ["x"]\n[[agents]]\nname = "a"\nroles = ["r"]\ncommand = ["x"]',
    '6:8: agent `a` is defined twice (the first is on line 2)',
  ],
  [
    'an agent with a role twice',
    '[[agents]]\nname = "a"\nroles = ["r", "r"]\ncommand = ["x"]',
    '3:15: agent `a` names role `r` twice (the first is on line 3)',
  ],
  [
    'an empty program',
    '[[agents]]\nname = "a"\nroles = ["r"]\ncommand = ["", "x"]',
    '4:12: agent `a` has an empty program, expected the name or path of a program',
  ],
  [
    'a variable with =',
    '[[agents]]\nname = "a"\nroles = ["r"]\ncommand = ["x"]\nenv = { "A=B" = "" }',
    '5:9: `agents[0].env."A=B"` has an invalid key, expected a variable name without `=` and NUL',
  ],
  [
    'an unknown need',
    stages('name = "build", agents = ["r"]', 'name = "s", agents = ["r"], needs = ["biuld"]'),
    '5:42: stage `s` needs unknown stage `biuld`, expected the name of a stage of the same workflow (did you mean `build`?)',
  ],
  [
    'a need twice',
    stages('name = "a", agents = ["r"]', 'name = "s", agents = ["r"], needs = ["a", "a"]'),
    '5:47: stage `s` needs stage `a` twice (the first is on line 5)',
  ],
  [
    'a stage that needs itself',
    stages('name = "s", agents = ["r"], needs = ["s"]'),
    '4:41: stages need each other in a cycle: `s` -> `s`',
  ],
  [
    'a cycle',
    stages(
      'name = "a", agents = ["r"], needs = ["c"]',
      'name = "b", agents = ["r"], needs = ["a"]',
      'name = "c", agents = ["r"], needs = ["b"]',
    ),
    '4:41: stages need each other in a cycle: `a` -> `c` -> `b` -> `a`',
  ],
  [
    'a cycle by default',
    stages('name = "a", agents = ["r"], needs = ["b"]', 'name = "b", agents = ["r"]'),
    '4:41: stages need each other in a cycle: `a` -> `b` -> `a` (stage `b` has no `needs`, so it waits for the stage written before it; `needs = []` waits for none)',
  ],
  [
    'delays the wrong way round',
    stages('name = "s", agents = ["r"], retry = { initial_ms = 2, max_ms = 1 }'),
    '4:56: stage `s` waits longer before the first retry (`2` ms) than it ever may (`max_ms` is `1`), expected `initial_ms` not above `max_ms`',
  ],
  [
    'a point of no return that nobody allows',
    stages('name = "s", agents = ["r"], irreversible = true'),
    "4:48: irreversible stage `s` has nobody's word before it, expected `approval_required = true` with approval gates enabled, or a `cedar_policy_dir` in `[engine]`",
  ],
  [
    'a point of no return whose gate is off',
    `[engine]\napproval_gates_enabled = false\n${stages('name = "s", agents = ["r"], approval_required = true, irreversible = true')}`,
    "6:74: irreversible stage `s` has nobody's word before it, expected `approval_required = true` with approval gates enabled, or a `cedar_policy_dir` in `[engine]`",
  ],
  [
    'too many stages',
    `[engine]\nlimits.max_stages = 1\n${stages('name = "a", agents = ["r"]', 'name = "b", agents = ["r"]')}`,
    '7:3: workflow `w` has 2 stages, expected at most 1',
  ],
  [
    'too many workflows',
    `[engine]\nlimits.max_templates = 1\n${stages('name = "a", agents = ["r"]')}\n${stages('name = "a", agents = ["r"]').replace('"w"', '"v"')}`,
    '8:1: there are 2 workflows, expected at most 1',
  ],
  [
    'arrays nested 100,000 deep',
    `a = ${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    '1:37: values are nested more than 32 deep',
  ],
  [
    'tables nested 100,000 deep',
    `a = ${'{a='.repeat(100_000)}`,
    '1:101: values are nested more than 32 deep',
  ],
  ['a header nested 100,000 deep', `[${'a.'.repeat(100_000)}a]`, '1:1: values are nested more than 32 deep'],
  ['a key nested 100,000 deep', `\n${'a.'.repeat(100_000)}a = 1`, '2:1: values are nested more than 32 deep'],
  [
    'a string of a million characters',
    `[engine]\nstore = "${'x'.repeat(1_000_000)}"`,
    '2:9: a string is longer than 65536 characters',
  ],
];

describe('problems', () => {
  it.each(cases)('place %s', (_, text, problem) => {
    expect(formatted(text)).toEqual([`workflows.toml:${problem}`]);
  });

  it('come all at once, in the order of the text, with warnings after the errors', () => {
    const text = `
[engine]
max_paralel_tasks = 3
[[workflows]]
name = "w"
[[workflows.stages]]
agents = ["a", "b c"]
[[workflows.stages]]
name = "y"
agents = ["a"]
max_parallel = 5
timeout = -1
`;
    const error = errorOf(text);
    expect(error).toMatchObject({ code: 'config_invalid', message: '4 problems in workflows.toml' });
    expect(error.problems.map(({ place, path, severity }) => [place?.line, path, severity])).toEqual([
      [3, 'engine.max_paralel_tasks', 'error'],
      [6, 'workflows[0].stages[0].name', 'error'],
      [7, 'workflows[0].stages[0].agents[1]', 'error'],
      [12, 'workflows[0].stages[1].timeout', 'error'],
      [11, 'workflows[0].stages[1].max_parallel', 'warning'],
    ]);
  });

  it('of one stage hide none of the others', () => {
    const text = `${stages(
      'name = "a", agents = []',
      'name = "b", agents = ["r"], needs = ["a", "d"]',
      'name = "a", agents = ["r"], needs = ["bb"]',
    )}\n[[workflows]]\nname = "w"\nstages = []`;
    expect(formatted(text)).toEqual([
      expect.stringContaining('has 0 items, expected a list of one or more agent roles'),
      expect.stringContaining('stage `b` needs unknown stage `d`'),
      expect.stringContaining('stage `a` is defined twice in workflow `w` (the first is on line 4)'),
      expect.stringContaining('stage `a` needs unknown stage `bb`'),
      expect.stringContaining('workflow `w` is defined twice (the first is on line 2)'),
      expect.stringContaining('has 0 items, expected a list of one or more stages'),
    ]);
    const cycle = stages('name = "a", agents = []', 'name = "b", agents = ["r"], needs = ["b"]');
    expect(formatted(cycle)).toHaveLength(2);
  });

  it('are bounded in number', () => {
    const error = errorOf(Array.from({ length: 5_000 }, (_, index) => `key${index} = 1`).join('\n'));
    expect(error.message).toBe('5000 problems in workflows.toml');
    expect(error.problems).toHaveLength(101);
    expect(error.problems.at(-1)?.message).toBe('4900 more problems are not shown');
  });

  it('name every cycle', () => {
    const pair = (a: string, b: string) => [
      `name = "${a}", agents = ["r"], needs = ["${b}"]`,
      `name = "${b}", agents = ["r"], needs = ["${a}"]`,
    ];
    const problems = formatted(stages(...pair('a', 'b'), ...pair('c', 'd')));
    expect(problems).toHaveLength(2);
    expect(problems[1]).toContain('`c` -> `d` -> `c`');
  });

  it('leave Object.prototype alone', () => {
    for (const key of ['__proto__.polluted', 'constructor.prototype.polluted']) {
      errorOf(`${key} = 1`);
      errorOf(`[${key}]\nx = 1`);
      errorOf(`engine = { ${key} = 1 }`);
    }
    expect('polluted' in {}).toBe(false);
  });
});
