/** Spans over OTLP/HTTP, where the standard variables of OpenTelemetry ask for it. Loads OpenTelemetry only then. */
import type * as Api from '@opentelemetry/api';
import type { HrTime, SpanContext } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from 'pino';
import type { Clock, EngineObserver } from '../core/ports.js';
import { NO_OBSERVER } from './observers.js';
import { type EndedSpan, endedSpans } from './spans.js';
import { traceparentOf } from './trace-ids.js';

export interface Tracing {
  readonly observer: EngineObserver;
  /** Sends what is still here. Never rejects, and soon over: a collector that is away keeps nobody from stopping. */
  close(): Promise<void>;
}

/** What a collector that hangs may cost an engine that stops. */
const MAX_CLOSE_MS = 2_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** Off, unless an endpoint is named. */
export function isTracingAsked(env: Environment): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none') return false;
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT ?? '';
  return endpoint !== '';
}

/** The exporter itself reads the endpoint, headers and time limits out of the environment of the process. */
export async function openTracing(parts: {
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
}): Promise<Tracing> {
  const { version, clock, log } = parts;
  const [{ BatchSpanProcessor }, { OTLPTraceExporter }, resources, api] = await Promise.all([
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/api'),
  ]);
  const { envDetector, detectResources, resourceFromAttributes } = resources;
  const resource = resourceFromAttributes({ 'service.name': 'vapora', 'service.version': version }).merge(
    detectResources({ detectors: [envDetector] }),
  );
  // bounded: what does not fit while a collector is away is dropped
  const processor = new BatchSpanProcessor(tellTale(new OTLPTraceExporter(), log));
  return {
    observer: {
      ...NO_OBSERVER,
      committed: (commit) => {
        for (const span of endedSpans(commit)) processor.onEnd(readable(span, { api, resource, version }));
      },
      traceparent: traceparentOf,
    },
    close: async () => {
      let cancel = (): void => {};
      const late = new Promise<void>((resolve) => {
        cancel = clock.after(MAX_CLOSE_MS, resolve);
      });
      await Promise.race([processor.shutdown().catch(() => undefined), late]);
      cancel();
    },
  };
}

function readable(
  span: EndedSpan,
  parts: { readonly api: typeof Api; readonly resource: Resource; readonly version: string },
): ReadableSpan {
  const { api, resource, version } = parts;
  const { SpanKind, SpanStatusCode, TraceFlags } = api;
  const { traceId, spanId, parentId, name, error, attributes } = span;
  const contextOf = (id: string): SpanContext => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED });
  return {
    name,
    kind: SpanKind.INTERNAL,
    spanContext: () => contextOf(spanId),
    ...(parentId === null ? {} : { parentSpanContext: contextOf(parentId) }),
    startTime: hrTime(span.startedAt),
    endTime: hrTime(span.endedAt),
    duration: hrTime(Math.max(0, span.endedAt - span.startedAt)),
    status: error === null ? { code: SpanStatusCode.OK } : { code: SpanStatusCode.ERROR, message: error },
    attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'vapora-workflow-engine', version },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Says when spans get lost, once, and when they arrive again. */
function tellTale(exporter: SpanExporter, log: Logger): SpanExporter {
  let isFailing = false;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const isFailed = result.error !== undefined;
        if (isFailed && !isFailing) log.warn({ reason: result.error?.message }, 'traces can not be sent');
        if (!isFailed && isFailing) log.info('traces are sent again');
        isFailing = isFailed;
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1_000), (ms % 1_000) * 1_000_000];
}
