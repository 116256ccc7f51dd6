/** `vapora serve`: the engine behind an HTTP API, until it is told to stop. */
import { VaporaError } from '../../core/errors.js';
import { packageVersion } from '../../observe/package-version.js';
import { parseCount } from '../input.js';
import { logLevel, logWriter } from '../log.js';
import { readConfig } from '../session.js';
import type { Shell } from '../shell.js';

export interface ServeOptions {
  readonly host?: string;
  readonly port?: string;
}

const MAX_PORT = 65_535;

export async function serve(shell: Shell, options: ServeOptions): Promise<number> {
  const [{ serve: open }, { DEFAULT_ADDRESS, isLoopback }, { createLogger }] = await Promise.all([
    import('../../serve/serve.js'),
    import('../../serve/listen.js'),
    import('../../observe/logger.js'),
  ]);
  const { host = DEFAULT_ADDRESS.host } = options;
  const port =
    options.port === undefined ? DEFAULT_ADDRESS.port : parseCount(options.port, '`--port`', 0, MAX_PORT);
  if (!isLoopback(host)) {
    throw new VaporaError('usage', `\`--host\` \`${host}\` can be reached from other machines`, {
      hint: 'nobody is authenticated, so listen on 127.0.0.1',
    });
  }
  const config = await readConfig(shell);
  const log = createLogger(logLevel(shell.host.env, false), logWriter(shell));
  const version = packageVersion();
  const stopped = stopOf(shell);
  const serving = await open(config, { address: { host, port }, log, version });
  shell.json({ type: 'listening', url: serving.url });
  shell.say(`vapora ${version} listens at ${serving.url}`);
  try {
    const failure = await Promise.race([stopped, serving.failed, serving.recovered.then(() => stopped)]);
    if (failure !== null) throw failure;
    return 0;
  } finally {
    await serving.close();
  }
}

function stopOf(shell: Shell): Promise<null> {
  return new Promise((resolve) => {
    shell.host.onInterrupt(() => resolve(null));
  });
}
