/** Makers of metrics, and what is asked of all of them. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Of the process, however many engines are in it: what watches the runtime can't be taken away again. */
const PROCESS = new Registry();
let isProcessWatched = false;

export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labels: readonly string[];
}

export class Meters {
  readonly #registry = new Registry();

  constructor() {
    if (isProcessWatched) return;
    isProcessWatched = true;
    collectDefaultMetrics({ register: PROCESS });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of this registry and of the process. */
  async text(): Promise<string> {
    return `${await this.#registry.metrics()}\n${await PROCESS.metrics()}`;
  }

  describe(): readonly MetricDescription[] {
    return [this.#registry, PROCESS].flatMap((registry) =>
      registry.getMetricsAsArray().map((metric) => ({
        name: metric.name,
        help: metric.help,
        type: String(metric.type),
        labels: 'labelNames' in metric ? [...(metric.labelNames as readonly string[])] : [],
      })),
    );
  }

  counter(name: string, help: string, labelNames: readonly string[]): Counter {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.#registry] });
  }

  histogram(name: string, help: string, labelNames: readonly string[], buckets: number[]): Histogram {
    return new Histogram({ name, help, labelNames: [...labelNames], buckets, registers: [this.#registry] });
  }

  /** A gauge whose value is looked up when somebody scrapes. */
  collected(
    name: string,
    help: string,
    labelNames: readonly string[],
    collect: (gauge: Gauge) => void,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        collect(this);
      },
    });
  }

  /** A counter that somebody else counts. */
  total(name: string, help: string, count: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(count());
      },
    });
  }
}
