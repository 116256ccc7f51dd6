/** The engine behind a server: whoever is written against `WorkflowApi` can't tell the two apart. */
import type {
  AgentApi,
  AgentReport,
  AuditReport,
  DeadLetter,
  InstanceArtifact,
  LetterPage,
  LetterQuery,
  Notice,
  RollbackPreview,
  ScheduleApi,
  ScheduleInfo,
  StartRequest,
  StartResult,
  WorkflowApi,
} from '../core/api.js';
import type { PolicyFile, WhatIfApi, WhatIfReport } from '../core/decision-log.js';
import type { Entry, EventRecord } from '../core/events.js';
import type { TokenApi, TokenInfo, TokenRequest } from '../core/identities.js';
import type { BlobRef, Principal, WorkflowInstance } from '../core/instance.js';
import { asInstanceId } from '../core/names.js';
import type { Clock, InstancePage, InstanceQuery } from '../core/ports.js';
import { openStream } from './client-stream.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { listAgents } from './contract/agents.js';
import { getContent, listArtifacts } from './contract/artifacts.js';
import { exportAudit, verifyAudit } from './contract/audit.js';
import { getBackup } from './contract/backup.js';
import { listEvents, streamAll, streamInstance } from './contract/events.js';
import {
  cancelInstance,
  getInstance,
  listInstances,
  previewRollback,
  restOfInstance,
  resumeInstance,
  retryInstance,
  rollbackInstance,
  startInstance,
} from './contract/instances.js';
import { listDeadLetters, resolveDeadLetter, retryDeadLetter } from './contract/letters.js';
import { listSchedules, pauseSchedule, resumeSchedule } from './contract/schedules.js';
import { approveStage, rejectStage } from './contract/stages.js';
import { createToken, listTokens, revokeToken } from './contract/tokens.js';
import { whatIfPolicies } from './contract/what-if.js';
import {
  artifactFromWire,
  eventFromWire,
  fromWire,
  instanceFromWire,
  summaryFromWire,
} from './contract/wire.js';

const DAY_MS = 86_400_000;
const EVENTS_PAGE = 500;
/** Of one question whether the instance rests; the next one follows at once. */
const REST_WAIT_SECONDS = 20;

export class HttpWorkflowClient implements AgentApi, WorkflowApi, ScheduleApi, TokenApi, WhatIfApi {
  /** For endpoints that are not of the engine: templates, policies, tokens. */
  readonly connection: Connection;
  readonly #clock: Clock;
  readonly #streams = new Set<() => void>();

  constructor(options: ConnectionOptions) {
    this.connection = new Connection(options);
    this.#clock = options.clock;
  }

  async start(request: StartRequest): Promise<StartResult> {
    const { workflow, input, labels, id, initiator } = request;
    const body = {
      workflow,
      ...(input === undefined ? {} : { input }),
      ...(labels === undefined ? {} : { labels: { ...labels } }),
      ...(id === undefined ? {} : { id }),
    };
    // asked again after a lost answer, it must not be another instance
    const headers = id === undefined ? { 'idempotency-key': this.#clock.newId() } : {};
    const options = { body, by: initiator, headers, mayRepeat: true };
    const { workflow_id, is_new } = await this.connection.call(startInstance, options);
    return { id: asInstanceId(workflow_id), isNew: is_new };
  }

  async get(id: string): Promise<WorkflowInstance> {
    return instanceFromWire(await this.connection.call(getInstance, { params: { id } }));
  }

  async list(query: InstanceQuery): Promise<InstancePage> {
    const {
      status,
      template,
      labels,
      initiator,
      createdFrom,
      createdBefore,
      withDeadLetters,
      limit,
      cursor,
    } = query;
    const page = await this.connection.call(listInstances, {
      query: {
        limit,
        ...(status === undefined ? {} : { state: status }),
        ...(template === undefined ? {} : { workflow: template }),
        ...(labels === undefined ? {} : { label: [...labels] }),
        ...(initiator === undefined ? {} : { initiator }),
        ...(createdFrom === undefined ? {} : { created_from: new Date(createdFrom).toISOString() }),
        ...(createdBefore === undefined ? {} : { created_before: new Date(createdBefore).toISOString() }),
        ...(withDeadLetters === true ? { dead_letters: 'true' } : {}),
        ...(cursor === undefined ? {} : { cursor }),
      },
    });
    return { items: page.instances.map(summaryFromWire), next: page.next };
  }

  async *history(id: string, afterSeq = 0): AsyncIterable<EventRecord> {
    let after: number | null = afterSeq;
    while (after !== null) {
      const query = { after, limit: EVENTS_PAGE };
      const page: { events: unknown[]; next: number | null } = await this.connection.call(listEvents, {
        params: { id },
        query,
      });
      yield* page.events.map(eventFromWire);
      after = page.next;
    }
  }

  async approve(
    id: string,
    stage: string,
    by: Principal,
    more: { comment?: string; digest?: string } = {},
  ): Promise<WorkflowInstance> {
    return instanceFromWire(
      await this.connection.call(approveStage, { params: { id, stage }, body: more, by }),
    );
  }

  async reject(id: string, stage: string, by: Principal, reason: string): Promise<WorkflowInstance> {
    return instanceFromWire(
      await this.connection.call(rejectStage, { params: { id, stage }, body: { reason }, by }),
    );
  }

  async cancel(id: string, by: Principal, more: { compensate: boolean }): Promise<WorkflowInstance> {
    return instanceFromWire(await this.connection.call(cancelInstance, { params: { id }, body: more, by }));
  }

  async rollback(id: string, by: Principal, to?: string): Promise<WorkflowInstance> {
    const body = to === undefined ? {} : { to };
    return instanceFromWire(await this.connection.call(rollbackInstance, { params: { id }, body, by }));
  }

  async previewRollback(id: string, to?: string): Promise<RollbackPreview> {
    const query = to === undefined ? {} : { to };
    return this.connection.call(previewRollback, { params: { id }, query });
  }

  async retry(id: string, by: Principal): Promise<WorkflowInstance> {
    return instanceFromWire(await this.connection.call(retryInstance, { params: { id }, by }));
  }

  async resume(id: string, by: Principal): Promise<WorkflowInstance> {
    return instanceFromWire(await this.connection.call(resumeInstance, { params: { id }, by }));
  }

  async deadLetters(query: LetterQuery): Promise<LetterPage> {
    const { dead_letters, next } = await this.connection.call(listDeadLetters, { query: { ...query } });
    return { items: fromWire(dead_letters) as readonly DeadLetter[], next };
  }

  async retryDeadLetter(letter: string, by: Principal): Promise<WorkflowInstance> {
    const params = letterParams(letter);
    return instanceFromWire(await this.connection.call(retryDeadLetter, { params, by }));
  }

  async resolveDeadLetter(letter: string, by: Principal, reason: string): Promise<WorkflowInstance> {
    const options = { params: letterParams(letter), body: { reason }, by };
    return instanceFromWire(await this.connection.call(resolveDeadLetter, options));
  }

  async artifacts(id: string): Promise<readonly InstanceArtifact[]> {
    const { artifacts } = await this.connection.call(listArtifacts, { params: { id } });
    return artifacts.map(artifactFromWire);
  }

  async content(id: string, { digest }: Pick<BlobRef, 'digest'>): Promise<Uint8Array> {
    const answer = await this.connection.open(getContent, { params: { id, digest } });
    return new Uint8Array(await answer.arrayBuffer());
  }

  /** The bytes of a backup. Breaks off with an error where the server does. */
  async *backup(): AsyncGenerator<Uint8Array> {
    const { body } = await this.connection.open(getBackup, {});
    if (body !== null) yield* body;
  }

  async verifyAudit(id: string): Promise<AuditReport> {
    const { workflow_id, ...report } = await this.connection.call(verifyAudit, { params: { id } });
    return { ...(report as Omit<AuditReport, 'id'>), id: asInstanceId(workflow_id) };
  }

  async *entries(id: string): AsyncIterable<Entry> {
    const answer = await this.connection.open(exportAudit, { params: { id } });
    for await (const line of linesOf(answer)) yield JSON.parse(line) as Entry;
  }

  subscribe(listener: (notice: Notice) => void, id?: string): () => void {
    const open =
      id === undefined
        ? (after: string | undefined, signal: AbortSignal) =>
            this.connection.open(streamAll, { query: {}, signal, headers: resumeHeaders(after) })
        : (after: string | undefined, signal: AbortSignal) =>
            this.connection.open(streamInstance, {
              params: { id },
              query: {},
              signal,
              headers: resumeHeaders(after),
            });
    const close = openStream(open, this.#clock, listener);
    this.#streams.add(close);
    return () => {
      this.#streams.delete(close);
      close();
    };
  }

  async untilRest(id: string): Promise<WorkflowInstance> {
    for (;;) {
      const options = { params: { id }, query: { wait: REST_WAIT_SECONDS } };
      const { is_resting, instance } = await this.connection.call(restOfInstance, options);
      if (is_resting) return instanceFromWire(instance);
    }
  }

  async agents(): Promise<readonly AgentReport[]> {
    const { agents } = await this.connection.call(listAgents, {});
    return agents.map((agent) => fromWire(agent) as AgentReport);
  }

  async schedules(): Promise<readonly ScheduleInfo[]> {
    const { schedules } = await this.connection.call(listSchedules, {});
    return schedules.map((schedule) => fromWire(schedule) as ScheduleInfo);
  }

  async pauseSchedule(workflow: string, by: Principal): Promise<ScheduleInfo> {
    return fromWire(await this.connection.call(pauseSchedule, { params: { workflow }, by })) as ScheduleInfo;
  }

  async resumeSchedule(workflow: string, by: Principal): Promise<ScheduleInfo> {
    return fromWire(await this.connection.call(resumeSchedule, { params: { workflow }, by })) as ScheduleInfo;
  }

  async listTokens(): Promise<readonly TokenInfo[]> {
    const { tokens } = await this.connection.call(listTokens, {});
    return tokens.map((token) => fromWire(token) as TokenInfo);
  }

  async createToken(
    request: TokenRequest,
    by: Principal,
    key: string | null = null,
  ): Promise<{ readonly token: TokenInfo; readonly secret: string }> {
    const { kind, name, groups, roles, lifetimeMs } = request;
    const body = {
      kind,
      name,
      groups: [...groups],
      roles: roles === null ? null : [...roles],
      expires_in_days: lifetimeMs === null ? null : lifetimeMs / DAY_MS,
    };
    const { token: secret, ...token } = await this.connection.call(createToken, {
      body,
      by,
      headers: { 'idempotency-key': key ?? this.#clock.newId() },
      mayRepeat: true,
    });
    return { token: fromWire(token) as TokenInfo, secret };
  }

  async revokeToken(id: string, by: Principal): Promise<TokenInfo> {
    return fromWire(await this.connection.call(revokeToken, { params: { id }, by })) as TokenInfo;
  }

  async whatIf(files: readonly PolicyFile[], since: number): Promise<WhatIfReport> {
    const body = {
      files: files.map(({ name, text }) => ({ name, text })),
      since: new Date(since).toISOString(),
    };
    return fromWire(await this.connection.call(whatIfPolicies, { body })) as WhatIfReport;
  }

  /** Ends event streams. The server is not told anything. */
  close(): void {
    for (const close of this.#streams) close();
    this.#streams.clear();
  }
}

function resumeHeaders(after: string | undefined): Record<string, string> {
  return after === undefined ? {} : { 'last-event-id': after };
}

/** What is no letter is answered by the server, which says so. */
function letterParams(letter: string): { id: string; stage: string } {
  const at = letter.indexOf('/');
  return at === -1 ? { id: letter, stage: '-' } : { id: letter.slice(0, at), stage: letter.slice(at + 1) };
}

async function* linesOf(answer: Response): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of answer.body ?? []) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}
