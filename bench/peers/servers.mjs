// What the peers need beside their packages: a database or a server of their own in `directory`, each as it comes, and gone afterwards.
// Each answers the environment for the peer's program, and `stop`. What is missing is an error that says what to install.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

export async function sqlite(directory) {
  return { env: { PEER_FILE: join(directory, 'checkpoints.sqlite') }, stop: () => {} };
}

/** With its default settings, which sync every commit. It refuses to run as root, so root starts it as `postgres`. */
export async function postgres(directory) {
  const bin = await postgresPrograms();
  const as = process.getuid?.() === 0 ? identityOf('postgres') : {};
  if (as.uid !== undefined) await chown(directory, as.uid, as.gid);
  await chmod(directory, 0o700);
  const data = join(directory, 'data');
  const port = await freePort();
  call(join(bin, 'initdb'), ['-D', data, '-U', 'bench', '--auth=trust'], { ...as, cwd: '/' });
  const server = start(
    join(bin, 'postgres'),
    [
      ...['-D', data, '-p', String(port), '-k', directory],
      ...['-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=200'],
    ],
    { ...as, cwd: '/', stdio: 'ignore' },
  );
  const at = ['-h', '127.0.0.1', '-p', String(port), '-U', 'bench'];
  const isUp = () => spawnSync(join(bin, 'pg_isready'), at).status === 0;
  await server.until(isUp, 'the PostgreSQL server');
  call(join(bin, 'createdb'), [...at, 'bench'], { cwd: '/' });
  return {
    env: { PEER_DATABASE: `postgresql://bench@127.0.0.1:${port}/bench` },
    stop: () => server.stop('SIGINT'),
  };
}

export async function restate(directory) {
  const program = join(here, 'node_modules', '.bin', 'restate-server');
  if (!existsSync(program)) throw new Error('the package `@restatedev/restate-server` has no program here');
  const [ingress, admin, node] = [await freePort(), await freePort(), await freePort()];
  const server = start(program, ['--no-logo', '--base-dir', directory, '--listen-mode', 'tcp'], {
    env: {
      ...process.env,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_LOG_FILTER: 'error',
      DISABLE_TELEMETRY: '1',
      DO_NOT_TRACK: '1',
    },
    stdio: 'ignore',
    // its launcher starts the program proper: the group ends with it
    detached: true,
  });
  const at = `http://127.0.0.1:${admin}`;
  const isUp = () =>
    fetch(`${at}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  await server.until(isUp, 'the Restate server');
  return {
    env: { PEER_INGRESS: `http://127.0.0.1:${ingress}`, PEER_ADMIN: at },
    stop: () => server.stop('SIGTERM'),
  };
}

/** Debian keeps the server's programs out of the path. */
async function postgresPrograms() {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? (await readdir(root)).sort((a, b) => Number(b) - Number(a)) : [];
  const asked = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' });
  const places = [...versions.map((version) => join(root, version, 'bin')), asked.stdout?.trim() ?? ''];
  const found = places.find((bin) => bin !== '' && existsSync(join(bin, 'initdb')));
  if (found === undefined) {
    throw new Error(
      `no PostgreSQL server: not in ${root}, not where pg_config says; apt-get install postgresql`,
    );
  }
  return found;
}

function identityOf(user) {
  const id = (option) => Number(call('id', [option, user], {}));
  return { uid: id('-u'), gid: id('-g') };
}

/** What it printed; its complaint where it failed. */
function call(program, args, options) {
  const { status, error, stdout, stderr } = spawnSync(program, args, { ...options, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program}: ${stderr.trim() || `ended with ${status}`}`);
  return stdout;
}

function start(program, args, options) {
  const server = spawn(program, args, options);
  let failure = null;
  server.once('error', (error) => {
    failure = error;
  });
  const isOver = () => failure !== null || server.exitCode !== null || server.signalCode !== null;
  return {
    async until(isTrue, what) {
      for (let tries = 0; tries < 300; tries += 1) {
        if (isOver())
          throw failure ?? new Error(`${what} ended with ${server.exitCode ?? server.signalCode}`);
        if (await isTrue()) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await this.stop('SIGKILL');
      throw new Error(`${what} did not come up within 30 s`);
    },
    async stop(signal) {
      if (isOver()) return;
      const ended = new Promise((resolve) => server.once('exit', resolve));
      process.kill(options.detached === true ? -server.pid : server.pid, signal);
      await ended;
    },
  };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
    server.once('error', reject);
  });
}
