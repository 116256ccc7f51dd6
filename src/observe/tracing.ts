/** Spans over OTLP/HTTP, where the standard variables of OpenTelemetry ask for it. Loads OpenTelemetry only then. */
import type { HrTime, SpanContext } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import type { EngineObserver } from '../core/ports.js';
import { NO_OBSERVER } from './observers.js';
import { type EndedSpan, endedSpans } from './spans.js';
import { traceparentOf } from './trace-ids.js';

export interface Tracing {
  readonly observer: EngineObserver;
  /** Sends what is still here. Never rejects: a collector that is away keeps nobody from stopping. */
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Off, unless an endpoint is named. */
export function isTracingAsked(env: Environment): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none') return false;
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT ?? '';
  return endpoint !== '';
}

/** The exporter itself reads the endpoint, headers and time limits out of the environment of the process. */
export async function openTracing(version: string): Promise<Tracing> {
  const [{ BatchSpanProcessor }, { OTLPTraceExporter }, resources, { SpanKind, SpanStatusCode, TraceFlags }] =
    await Promise.all([
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
  const processor = new BatchSpanProcessor(new OTLPTraceExporter());
  const contextOf = (span: EndedSpan, spanId: string): SpanContext => ({
    traceId: span.traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
  });
  const readable = (span: EndedSpan): ReadableSpan => ({
    name: span.name,
    kind: SpanKind.INTERNAL,
    spanContext: () => contextOf(span, span.spanId),
    ...(span.parentId === null ? {} : { parentSpanContext: contextOf(span, span.parentId) }),
    startTime: hrTime(span.startedAt),
    endTime: hrTime(span.endedAt),
    duration: hrTime(Math.max(0, span.endedAt - span.startedAt)),
    status:
      span.error === null ? { code: SpanStatusCode.OK } : { code: SpanStatusCode.ERROR, message: span.error },
    attributes: span.attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'vapora-workflow-engine', version },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  });
  return {
    observer: {
      ...NO_OBSERVER,
      committed: (commit) => {
        for (const span of endedSpans(commit)) processor.onEnd(readable(span));
      },
      traceparent: traceparentOf,
    },
    close: () => processor.shutdown().catch(() => undefined),
  };
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1_000), (ms % 1_000) * 1_000_000];
}
