/** What is counted of requests over HTTP. Labels come from the routes, the methods and the table of errors: no caller can make new ones. */
import type { Meters } from './meters.js';

/** The longest are those that wait for something, and event streams. */
const SECONDS_OF_REQUEST = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 60];
/** Where nothing is. */
export const NO_ROUTE = 'none';

export interface AnsweredRequest {
  readonly method: string;
  /** As it was declared, with the names of its parameters; `NO_ROUTE`: there is none. */
  readonly route: string;
  /** Null: the caller went away before an answer. */
  readonly status: number | null;
  readonly ms: number;
  /** Code of the error that it was answered with. */
  readonly problem: string | null;
}

export class RequestMeters {
  #inFlight = 0;
  readonly #requests;
  readonly #seconds;
  readonly #problems;
  readonly #dropped;

  constructor(meters: Meters) {
    this.#requests = meters.counter(
      'vapora_http_requests_total',
      'Requests that are over, by the class of their status.',
      ['method', 'route', 'status'],
    );
    this.#seconds = meters.histogram(
      'vapora_http_request_duration_seconds',
      'From the head of a request to the end of its answer; routes that wait and event streams take as long as they are asked to.',
      ['method', 'route'],
      SECONDS_OF_REQUEST,
    );
    this.#problems = meters.counter(
      'vapora_http_problems_total',
      'Requests that were answered with an error, by its code; `rate_limited` and `engine_overloaded` are those that a limit turned away.',
      ['code'],
    );
    this.#dropped = meters.counter(
      'vapora_http_connections_dropped_total',
      'Connections that were closed at once, because there were too many.',
      [],
    );
    meters.collected(
      'vapora_http_requests_in_flight',
      'Requests under way, event streams included.',
      [],
      (gauge) => gauge.set(this.#inFlight),
    );
  }

  began(): void {
    this.#inFlight += 1;
  }

  answered({ method, route, status, ms, problem }: AnsweredRequest): void {
    this.#inFlight -= 1;
    const labels = { method: route === NO_ROUTE ? 'any' : method, route };
    this.#requests.inc({ ...labels, status: status === null ? 'none' : `${Math.floor(status / 100)}xx` });
    this.#seconds.observe(labels, ms / 1_000);
    if (problem !== null) this.#problems.inc({ code: problem });
  }

  dropped(): void {
    this.#dropped.inc();
  }
}
