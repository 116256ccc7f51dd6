/** The commands of the command line, as the program itself has them. */
import type { Command } from 'commander';
import { buildTree } from '../src/cli/tree.js';

export interface Leaf {
  /** As it is written: `dead-letters list`. */
  readonly words: string;
  readonly command: Command;
}

const output = { stdout: { write: () => true }, stderr: { write: () => true } };

/** Those that do something, groups left out. */
export function cliLeaves(): Leaf[] {
  return leavesOf(
    buildTree(async () => undefined, '0', output),
    [],
  );
}

function leavesOf(parent: Command, words: readonly string[]): Leaf[] {
  return parent.commands.flatMap((command) => {
    const inner = [...words, command.name()];
    return command.commands.length > 0 ? leavesOf(command, inner) : [{ words: inner.join(' '), command }];
  });
}
