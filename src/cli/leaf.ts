/** How commands are declared: what all of them have, and how their help reads. */
import type { Command, CommandOptions } from 'commander';

export const collect = (value: string, before: readonly string[]): string[] => [...before, value];

/** For commands that have nothing to ask of a server. */
export const LOCAL = { isLocal: true } as const;

export function common(command: Command): Command {
  return command
    .option('--config <file>', 'configuration (default: workflows.toml here or above)')
    .option('--json', 'print JSON only');
}

export function leaf(
  parent: Command,
  words: string,
  summary: string,
  examples: readonly string[],
  more: CommandOptions & { readonly isLocal?: boolean } = {},
): Command {
  const command = common(parent.command(words, more)).summary(summary).description(sentence(summary));
  if (more.isLocal !== true) {
    command.option('--server <url>', 'ask this server (default: the one that holds the store, if any)');
  }
  return command.addHelpText(
    'after',
    `\nExamples:\n${examples.map((line) => `  $ ${line.includes('| vapora') ? '' : 'vapora '}${line}`).join('\n')}\n`,
  );
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

/** For commands in somebody's name. */
export function person(command: Command): Command {
  return command
    .option('--by <user>', 'who acts (default: the user of the operating system)')
    .option('--group <group>', 'a group of theirs; repeatable', collect, []);
}

/** A command that only has others under it. */
export function group(program: Command, name: string, summary: string): Command {
  return program.command(name).summary(summary).description(sentence(summary));
}
