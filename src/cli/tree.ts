/** The words of the command line. What they do is in `commands/`, loaded only when it is asked for, so that `--help` is quick. */
import { Command } from 'commander';
import type { ApproveOptions, RejectOptions } from './commands/approve.js';
import type { ArtifactsOptions } from './commands/artifacts.js';
import type { VerifyOptions } from './commands/audit.js';
import type { CancelOptions } from './commands/cancel.js';
import type { ListLettersOptions, ResolveOptions } from './commands/dead-letters.js';
import type { HistoryOptions } from './commands/history.js';
import type { ListOptions } from './commands/list.js';
import type { PolicyTestOptions } from './commands/policy.js';
import type { ResumeOptions } from './commands/resume.js';
import type { RollbackOptions } from './commands/rollback.js';
import type { RunOptions } from './commands/run.js';
import { collect, common, group, LOCAL, leaf, person } from './leaf.js';
import type { CommonOptions, Host, PersonOptions, Shell } from './shell.js';
import { addAgents, addBackup, addPurge, addServe, addTokens, addWhatIf } from './tree-server.js';

/** Runs what a command does and keeps its exit code. */
export type Execute = (options: CommonOptions, act: (shell: Shell) => Promise<number>) => Promise<void>;

const EXIT_CODES = `
Exit codes:
  0    completed, or the command did its work
  1    the instance failed or was cancelled
  2    usage, configuration or input
  3    unauthorized or blocked
  4    waits for an approval
  5    the store: locked, unreadable, full
  130  interrupted; state is kept
`;

/** All commands; `output` gets help and version. */
export function buildTree(
  execute: Execute,
  version: string,
  output: Pick<Host, 'stdout' | 'stderr'>,
): Command {
  const program = common(new Command('vapora'))
    .description('Runs pipelines of agents that survive a crash, take themselves back and obey policies.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .addHelpText('after', EXIT_CODES)
    .exitOverride()
    // whoever catches the error shows it, in one way for all errors
    .configureOutput({
      writeOut: (text) => output.stdout.write(text),
      writeErr: (text) => output.stderr.write(text),
      outputError: () => {},
    });
  addSetUp(program, execute);
  addServe(program, execute);
  addPurge(program, execute);
  addBackup(program, execute);
  addRun(program, execute);
  addGoOn(program, execute);
  addDecisions(program, execute);
  addRollback(program, execute);
  addReads(program, execute);
  addDeadLetters(program, execute);
  addAgents(program, execute);
  addSchedules(program, execute);
  addTokens(program, execute);
  addPolicy(program, execute);
  addAudit(program, execute);
  addDiagnosis(program, execute);
  return program;
}

function addSetUp(program: Command, execute: Execute): void {
  leaf(
    program,
    'init [dir]',
    'make a working pipeline to start from',
    ['init', 'init release-pipeline'],
    LOCAL,
  ).action((dir: string | undefined, _: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/init.js')).init(shell, dir ?? '.'),
    ),
  );
  leaf(
    program,
    'check',
    'find problems in the configuration, the policies and what can be taken back',
    ['check', 'check --config staging/workflows.toml --json'],
    LOCAL,
  ).action((_: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) => (await import('./commands/check.js')).check(shell)),
  );
}

function addRun(program: Command, execute: Execute): void {
  leaf(program, 'run <workflow>', 'run a workflow and follow it until it rests', [
    'run release',
    `run release --input '{"version": "1.2.0"}' --label env=prod`,
    'run release --input release.json --initiator ann --group dev',
    'cat release.json | vapora run release --input - --id release-1.2.0 --json',
    'run release --approve deploy',
  ])
    .option('--input <input>', 'JSON, a file, or - for stdin (default: {})')
    .option('--initiator <user>', 'who starts it (default: the user of the operating system)')
    .option('--group <group>', 'a group of theirs; repeatable', collect, [])
    .option('--label <key=value>', 'label to find it by; repeatable', collect, [])
    .option('--id <id>', 'id of the instance; the same start with the same id happens once')
    .option(
      '--approve <stage>',
      'approve this stage, or all, when it asks, as the initiator; repeatable',
      collect,
      [],
    )
    .action((workflow: string, options: RunOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/run.js')).run(shell, workflow, options),
      ),
    );
}

function addGoOn(program: Command, execute: Execute): void {
  person(
    leaf(program, 'resume [id]', 'go on with an instance, or with all of them', [
      'resume release-1.2.0',
      'resume --all',
    ]),
  )
    .option('--all', 'every instance that has not ended')
    .action((id: string | undefined, options: ResumeOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/resume.js')).resume(shell, id, options),
      ),
    );
  person(
    leaf(program, 'retry <id>', 'run an instance again from the stage that failed', ['retry release-1.2.0']),
  ).action((id: string, options: PersonOptions, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/retry.js')).retry(shell, id, options),
    ),
  );
  person(
    leaf(program, 'cancel <id>', 'end an instance and take back what it did', [
      'cancel release-1.2.0',
      'cancel release-1.2.0 --no-compensate',
    ]),
  )
    .option('--no-compensate', 'leave everything as it is')
    .action((id: string, options: CancelOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/cancel.js')).cancel(shell, id, options),
      ),
    );
}

function addDecisions(program: Command, execute: Execute): void {
  person(
    leaf(program, 'approve <id> <stage>', 'approve a stage that waits for it', [
      'approve release-1.2.0 deploy',
      'approve release-1.2.0 deploy --by bob --group ops --comment "looks good"',
    ]),
  )
    .option('--comment <text>', 'kept with the approval')
    .action((id: string, stage: string, options: ApproveOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/approve.js')).approve(shell, id, stage, options),
      ),
    );
  person(
    leaf(
      program,
      'reject <id> <stage>',
      'reject a stage that waits for an approval, and take the instance back',
      ['reject release-1.2.0 deploy --reason "not on a Friday"'],
    ),
  )
    .requiredOption('--reason <text>', 'kept with the rejection')
    .action((id: string, stage: string, options: RejectOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/approve.js')).reject(shell, id, stage, options),
      ),
    );
}

function addRollback(program: Command, execute: Execute): void {
  person(
    leaf(program, 'rollback <id>', 'take an instance back, wholly or down to a stage', [
      'rollback release-1.2.0 --preview',
      'rollback release-1.2.0 --to build',
    ]),
  )
    .option('--to <stage>', 'keep this stage and those before it, then go on from there')
    .option('--preview', 'only show what would be taken back')
    .action((id: string, options: RollbackOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/rollback.js')).rollback(shell, id, options),
      ),
    );
}

function addReads(program: Command, execute: Execute): void {
  leaf(program, 'list', 'list instances, the latest first', [
    'list',
    'list --state failed --workflow release --label env=prod',
  ])
    .option('--state <state>', 'only instances in this state')
    .option('--workflow <workflow>', 'only instances of this workflow')
    .option('--label <key=value>', 'only instances with this label; repeatable', collect, [])
    .option('--initiator <user>', 'only instances that this user started')
    .option('--since <time>', 'only instances started then or later; ISO 8601')
    .option('--until <time>', 'only instances started before')
    .option('--limit <n>', 'instances a page, 1 to 1000', '50')
    .option('--cursor <cursor>', 'go on where the page before ended')
    .action((options: ListOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/list.js')).list(shell, options),
      ),
    );
  leaf(program, 'show <id>', 'show an instance: stages, approvals, errors, what to do next', [
    'show release-1.2.0',
  ]).action((id: string, _: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) => (await import('./commands/show.js')).show(shell, id)),
  );
  leaf(program, 'history <id>', 'show what happened to an instance, event by event', [
    'history release-1.2.0 --follow',
  ])
    .option('--follow', 'go on until the instance has ended')
    .action((id: string, options: HistoryOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/history.js')).history(shell, id, options),
      ),
    );
  leaf(program, 'artifacts <id> [name]', 'list what an instance has made, or print one of them', [
    'artifacts release-1.2.0',
    'artifacts release-1.2.0 bundle --output bundle.tar',
    'artifacts release-1.2.0 build/report',
  ])
    .option('--output <file>', 'write the artifact to a file')
    .action((id: string, name: string | undefined, options: ArtifactsOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/artifacts.js')).artifacts(shell, id, name, options),
      ),
    );
}

function addDeadLetters(program: Command, execute: Execute): void {
  const letters = group(program, 'dead-letters', 'work off what could not be taken back');
  const list = { isDefault: true };
  leaf(
    letters,
    'list',
    'list open dead letters',
    ['dead-letters', 'dead-letters list --workflow release'],
    list,
  )
    .option('--workflow <workflow>', 'only those of instances of this workflow')
    .option('--instance <id>', 'only those of this instance')
    .option('--limit <n>', 'dead letters a page, 1 to 1000', '50')
    .option('--cursor <cursor>', 'go on where the page before ended')
    .action((options: ListLettersOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/dead-letters.js')).listLetters(shell, options),
      ),
    );
  person(
    leaf(letters, 'retry <letter>', 'try to take the stage back again', [
      'dead-letters retry release-1.2.0/deploy',
    ]),
  ).action((letter: string, options: PersonOptions, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/dead-letters.js')).retryLetter(shell, letter, options),
    ),
  );
  person(
    leaf(letters, 'resolve <letter>', 'close a dead letter that was dealt with by hand', [
      'dead-letters resolve release-1.2.0/deploy --reason "removed by hand"',
    ]),
  )
    .requiredOption('--reason <text>', 'kept with the letter')
    .action((letter: string, options: ResolveOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/dead-letters.js')).resolveLetter(shell, letter, options),
      ),
    );
}

function addSchedules(program: Command, execute: Execute): void {
  const schedules = group(program, 'schedules', 'look at what starts instances at their time, and stop it');
  const list = { isDefault: true };
  leaf(schedules, 'list', 'list the schedules, and when each comes next', ['schedules'], list).action(
    (_: object, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/schedules.js')).listSchedules(shell),
      ),
  );
  person(
    leaf(schedules, 'pause <workflow>', 'start nothing by the schedule until it is resumed', [
      'schedules pause nightly',
    ]),
  ).action((workflow: string, options: PersonOptions, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/schedules.js')).pauseSchedule(shell, workflow, options),
    ),
  );
  person(
    leaf(schedules, 'resume <workflow>', 'go on with a schedule that was paused, from its next time on', [
      'schedules resume nightly',
    ]),
  ).action((workflow: string, options: PersonOptions, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/schedules.js')).resumeSchedule(shell, workflow, options),
    ),
  );
}

function addPolicy(program: Command, execute: Execute): void {
  const policy = group(program, 'policy', 'look at the policies and ask them');
  leaf(policy, 'check', 'list the policies, or what is wrong with them', ['policy check']).action(
    (_: object, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/policy.js')).checkPolicies(shell),
      ),
  );
  leaf(policy, 'test', 'ask the policies: exit code 0 for allow, 3 for deny', [
    `policy test --principal 'User::"ann" in Group::"dev"' --action approve-stage --resource 'Stage::"deploy"'`,
    `policy test --principal 'Orchestrator::"vapora-orchestrator"' --action execute-stage --resource 'Stage::"deploy"' --context '{"labels": {"env": "prod"}}'`,
  ])
    .requiredOption('--principal <entity>', 'who, e.g. User::"ann" in Group::"dev"')
    .requiredOption('--action <action>', 'what, e.g. approve-stage')
    .requiredOption('--resource <entity>', 'on what, e.g. Stage::"deploy" or Workflow::"release"')
    .option('--context <json>', 'fields of the context, e.g. {"initiator": "ann"}')
    .option('--workflow <workflow>', 'whose stage it is, where several workflows have it')
    .action((options: PolicyTestOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/policy.js')).testPolicies(shell, options),
      ),
    );
  addWhatIf(policy, execute);
}

function addAudit(program: Command, execute: Execute): void {
  const audit = group(program, 'audit', 'prove that histories are as they were written');
  leaf(
    audit,
    'verify [id]',
    'verify the hash chain of an instance, or of all: exit code 1 where one is broken',
    ['audit verify release-1.2.0', 'audit verify --all'],
  )
    .option('--all', 'every instance (as without an id)')
    .action((id: string | undefined, options: VerifyOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/audit.js')).verifyAudit(shell, id, options),
      ),
    );
  leaf(audit, 'export <id>', 'print the history with its hashes, one JSON line an entry', [
    'audit export release-1.2.0 > release-1.2.0.jsonl',
  ]).action((id: string, _: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/audit.js')).exportAudit(shell, id),
    ),
  );
}

function addDiagnosis(program: Command, execute: Execute): void {
  leaf(
    program,
    'doctor',
    'show versions, store, policies and agents, and what is wrong with them',
    ['doctor'],
    LOCAL,
  ).action((_: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) => (await import('./commands/doctor.js')).doctor(shell)),
  );
  leaf(
    program,
    'completion <shell>',
    'print a completion script for bash, zsh or fish',
    ['completion bash > ~/.local/share/bash-completion/completions/vapora'],
    LOCAL,
  ).action((name: string, _: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/completion.js')).completion(shell, program, name),
    ),
  );
}
