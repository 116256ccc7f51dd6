/** The process around a command: its streams, signals, errors and exit code. */
import { systemClock } from '../engine/clock.js';
import { packageVersion } from '../observe/package-version.js';
import { reportFailure } from './failure.js';
import { askedLevel } from './log.js';
import { type Host, Shell } from './shell.js';
import { buildTree, type Execute } from './tree.js';

const INTERRUPTED_EXIT = 130;
/** The command did its work, but what it had to say is not where it should be. */
const LOST_OUTPUT_EXIT = 1;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs one command line, without the program's name, and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const losses = new Map<NodeJS.WriteStream, NodeJS.ErrnoException>();
  let code = await execute(argv, hostOfProcess(losses));
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  const loss = losses.get(process.stdout);
  if (loss !== undefined && !isReaderGone(loss)) {
    process.stderr.write(`error: the output could not be written: ${loss.code ?? loss.message}\n`);
    code = code === 0 ? LOST_OUTPUT_EXIT : code;
  }
  // the embedded database keeps threads that would keep the process
  process.exit(code);
}

/** Like {@link main} for a given host; answers the exit code. */
export async function execute(argv: readonly string[], host: Host): Promise<number> {
  let code = 0;
  const clock = systemClock();
  const act: Execute = async (options, command) => {
    askedLevel(host.env);
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

/** `losses` gets what keeps a stream from being written: no reason to leave an instance alone. */
function hostOfProcess(losses: Map<NodeJS.WriteStream, NodeJS.ErrnoException>): Host {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => losses.set(stream, error));
  }
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    isDeaf: () => losses.has(process.stdout),
    onInterrupt,
  };
}

/** As with `| head`, which is nothing to speak of. */
function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
}

function onInterrupt(call: () => void, onHangup?: () => void): () => void {
  let isInterrupted = false;
  const onSignal = () => {
    if (isInterrupted) process.exit(INTERRUPTED_EXIT);
    isInterrupted = true;
    call();
  };
  const handlers = SIGNALS.map(
    (signal) => [signal, signal === 'SIGHUP' && onHangup !== undefined ? onHangup : onSignal] as const,
  );
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });
}
