/** `vapora serve`: the engine behind an HTTP API, until it is told to stop. */
import { packageVersion } from '../../observe/package-version.js';
import type { Serving } from '../../serve/serve.js';
import { parseCount } from '../input.js';
import { askedLevel } from '../log.js';
import { readConfig } from '../session.js';
import type { Shell } from '../shell.js';

export interface ServeOptions {
  readonly host?: string;
  readonly port?: string;
  readonly insecure?: boolean;
  readonly grace?: string;
}

const MAX_PORT = 65_535;
const DEFAULT_GRACE_SECONDS = '10';
const MAX_GRACE_SECONDS = 3_600;

export async function serve(shell: Shell, options: ServeOptions): Promise<number> {
  const [{ serve: open }, { createLogger }] = await Promise.all([
    import('../../serve/serve.js'),
    import('../../observe/logger.js'),
  ]);
  const graceMs =
    parseCount(options.grace ?? DEFAULT_GRACE_SECONDS, '`--grace`', 0, MAX_GRACE_SECONDS) * 1_000;
  const asked = options.port === undefined ? null : parseCount(options.port, '`--port`', 0, MAX_PORT);
  const config = await readConfig(shell);
  const address = { host: options.host ?? config.server.host, port: asked ?? config.server.port };
  const { host } = shell;
  // a server is read by machines: its log is a JSON object a line
  const log = createLogger(askedLevel(host.env) ?? 'info', { write: (line) => host.stderr.write(line) });
  const version = packageVersion();
  let serving: Serving | null = null;
  const stopped = new Promise<null>((resolve) => {
    host.onInterrupt(
      () => resolve(null),
      () => serving?.reload(),
    );
  });
  const isInsecure = options.insecure === true;
  serving = await open(config, { address, isInsecure, log, version, env: host.env });
  shell.json({ type: 'listening', url: serving.url });
  shell.say(`vapora ${version} listens at ${serving.url}`);
  try {
    // a recovery that fails ends the server like anything else that keeps the engine from going on
    const recovering = serving.recovered.then(() => stopped);
    const failure = await Promise.race([stopped, serving.failed, recovering]);
    if (failure !== null) throw failure;
    return 0;
  } finally {
    await serving.close(graceMs);
  }
}
