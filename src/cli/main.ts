/** The process around a command: its streams, signals, errors and exit code. */
import { systemClock } from '../engine/clock.js';
import { reportFailure } from './failure.js';
import { packageVersion } from './package-version.js';
import { type Host, Shell } from './shell.js';
import { buildTree, type Execute } from './tree.js';

const INTERRUPTED_EXIT = 130;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs one command line, without the program's name, and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const code = await execute(argv, hostOfProcess());
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // the embedded database keeps threads that would keep the process
  process.exit(code);
}

/** Like {@link main} for a given host; answers the exit code. */
export async function execute(argv: readonly string[], host: Host): Promise<number> {
  let code = 0;
  const clock = systemClock();
  const act: Execute = async (options, command) => {
    code = await command(new Shell(host, clock, options));
  };
  const program = buildTree(act, packageVersion(), host);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    return reportFailure(host, error, argv.includes('--json'));
  }
}

function hostOfProcess(): Host {
  const deaf = new Set<NodeJS.WriteStream>();
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // whoever read it has gone, e.g. `| head`: no reason to leave an instance alone
      if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
      deaf.add(stream);
    });
  }
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    isDeaf: () => deaf.has(process.stdout),
    onInterrupt,
  };
}

function onInterrupt(call: () => void): () => void {
  let isInterrupted = false;
  const onSignal = () => {
    if (isInterrupted) process.exit(INTERRUPTED_EXIT);
    isInterrupted = true;
    call();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });
}
