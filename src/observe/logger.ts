/** The engine's log: JSON lines, with what must not be in them taken out. */
import { type DestinationStream, type Logger, pino } from 'pino';

/** Whoever logs an object that holds one of these did not mean to publish it. */
const SECRETS = [
  'authorization',
  'cookie',
  'token',
  'secret',
  'password',
  'apiKey',
  'api_key',
  'webhook-signature',
];

/** One and two levels down as well: headers within a request within a line. */
const PATHS = SECRETS.flatMap((name) => {
  const key = /^\w+$/.test(name) ? `.${name}` : `["${name}"]`;
  return [key.replace(/^\./, ''), `*${key}`, `*.*${key}`];
});

/** Default destination: stderr, written at once, so that the last words of a process are not lost. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = { level, redact: { paths: PATHS, censor: '[redacted]' } };
  return pino(options, destination ?? pino.destination({ dest: 2, sync: true }));
}
