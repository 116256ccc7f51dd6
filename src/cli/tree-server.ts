/** The words of the command line for a server and its callers. */
import type { Command } from 'commander';
import type { PurgeOptions } from './commands/purge.js';
import type { ServeOptions } from './commands/serve.js';
import type { CreateTokenOptions } from './commands/token.js';
import { collect, group, LOCAL, leaf, person } from './leaf.js';
import type { PersonOptions } from './shell.js';
import type { Execute } from './tree.js';

export function addServe(program: Command, execute: Execute): void {
  leaf(
    program,
    'serve',
    'serve the engine over HTTP until it is told to stop',
    ['serve', 'serve --port 9000 --json'],
    LOCAL,
  )
    .option('--host <address>', 'where to listen (default: as configured, else 127.0.0.1)')
    .option('--port <port>', 'where to listen, 0 for any that is free (default: as configured, else 8420)')
    .option('--insecure', 'let other machines in though nobody is authenticated')
    .option('--grace <seconds>', 'how long attempts may take to end when it is told to stop', '10')
    .action((options: ServeOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/serve.js')).serve(shell, options),
      ),
    );
}

export function addAgents(program: Command, execute: Execute): void {
  leaf(program, 'agents', 'list the agents that are there, and how each does', [
    'agents',
    'agents --json',
  ]).action((_: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/agents.js')).listAgents(shell),
    ),
  );
}

export function addPurge(program: Command, execute: Execute): void {
  leaf(
    program,
    'purge',
    'let go of what ended long ago, and of content that nothing refers to',
    ['purge --keep-days 90 --archive archive/'],
    LOCAL,
  )
    .option('--keep-days <days>', 'days that instances are kept after their end (default: as configured)')
    .option('--archive <directory>', 'where their histories go (default: as configured, else nowhere)')
    .action((options: PurgeOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/purge.js')).purge(shell, options),
      ),
    );
}

export function addBackup(program: Command, execute: Execute): void {
  leaf(program, 'backup <file>', 'write everything that is stored into a file, while all goes on', [
    'backup /backups/vapora-2026-01-31.backup',
  ]).action((file: string, _: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/backup.js')).makeBackup(shell, file),
    ),
  );
  leaf(
    program,
    'restore <file>',
    'put a backup into the store of the configuration, which has to be empty',
    ['restore /backups/vapora-2026-01-31.backup'],
    LOCAL,
  ).action((file: string, _: object, command: Command) =>
    execute(command.optsWithGlobals(), async (shell) =>
      (await import('./commands/backup.js')).restore(shell, file),
    ),
  );
}

export function addTokens(program: Command, execute: Execute): void {
  const tokens = group(program, 'token', 'hand out tokens to the callers of a server, and take them back');
  person(
    leaf(tokens, 'create', 'make an API token; it is shown once', [
      'token create --user ann --token-group ops --expires 90',
      'token create --agent builder-1 --role build --role test',
    ]),
  )
    .option('--user <user>', 'the person that it stands for')
    .option('--agent <agent>', 'the agent that it stands for, instead of a person')
    .option('--token-group <group>', 'a group of theirs; repeatable', collect, [])
    .option(
      '--role <role>',
      'a role that the agent may take tasks for (default: any); repeatable',
      collect,
      [],
    )
    .option('--expires <days>', 'days until it lets nobody in any more (default: never)')
    .action((options: CreateTokenOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/token.js')).createToken(shell, options),
      ),
    );
  leaf(tokens, 'list', 'list tokens, revoked ones included; never the secrets', ['token list']).action(
    (_: object, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/token.js')).listTokens(shell),
      ),
  );
  person(leaf(tokens, 'revoke <id>', 'let a token in no more', ['token revoke 6f1d2c3b4a596877'])).action(
    (id: string, options: PersonOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/token.js')).revokeToken(shell, id, options),
      ),
  );
}

export interface WhatIfOptions {
  readonly since: string;
}

export function addWhatIf(policy: Command, execute: Execute): void {
  leaf(
    policy,
    'what-if <dir>',
    'put the policies of a directory to what was decided, and show what changes',
    ['policy what-if policies.next --since 7d'],
  )
    .option('--since <age>', 'how far back: days, hours or minutes', '7d')
    .action((directory: string, options: WhatIfOptions, command: Command) =>
      execute(command.optsWithGlobals(), async (shell) =>
        (await import('./commands/what-if.js')).whatIf(shell, directory, options),
      ),
    );
}
