/**
 * Agents that call over the network: they register, poll for orders, and hand in what comes of them. Each delivery has a lease, which
 * the agent's words extend; when it is over, the attempt is lost, and what its agent still says is refused.
 */
import { assert } from '../core/errors.js';
import type { AgentInfo, AgentTransport, Clock, TaskOrder, TaskSink } from '../core/ports.js';
import { RemoteBook } from './remote-book.js';
import { RemoteDesk, type RemoteDeskOptions } from './remote-desk.js';
import type { Registration } from './remote-session.js';

export interface RemoteOptions {
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly limits: RemoteDeskOptions['limits'];
}

export class RemoteTransport implements AgentTransport {
  /** Where agents call. */
  readonly desk: RemoteDesk;
  readonly #book: RemoteBook;

  constructor({ clock, leaseMs, limits }: RemoteOptions) {
    this.#book = new RemoteBook(clock, leaseMs);
    this.desk = new RemoteDesk(this.#book, { limits });
  }

  agents(): readonly AgentInfo[] {
    return this.#book.agents;
  }

  /** Who is there, and when each was last heard of. */
  registered(): readonly (Pick<Registration, 'name' | 'version'> & { readonly seenAt: number })[] {
    const { sessions, clock } = this.#book;
    return [...sessions.values()].map((session) => {
      const { name, version } = session.registration;
      return { name, version, seenAt: session.lastSeen(clock.now()) };
    });
  }

  /** Whether the attempt is with an agent elsewhere, which goes on without this process. */
  carries(taskId: string): boolean {
    return this.#book.attempts.has(taskId);
  }

  onChange(listener: () => void): () => void {
    const entry = () => listener();
    this.#book.listeners.add(entry);
    return () => this.#book.listeners.delete(entry);
  }

  dispatch(order: TaskOrder, sink: TaskSink): void {
    const book = this.#book;
    assert(!book.attempts.has(order.task_id), `attempt ${order.task_id} is already under way`);
    const session = book.names.get(order.agent);
    if (book.isClosed || session === undefined || session.isDraining) {
      const reason = book.isClosed ? 'the engine is stopping' : `agent \`${order.agent}\` has left`;
      // later, as with every other outcome: the caller is still in the middle of dispatching
      queueMicrotask(() => void sink.end({ status: 'lost', reason }));
      return;
    }
    session.attempts.add(book.add(order, sink, 'queued'));
    session.wake();
  }

  resume(agent: string, orderOf: () => TaskOrder, sink: TaskSink): boolean {
    // one that has registered here already has said what it is at
    if (this.#book.isClosed || this.#book.names.get(agent)?.hasClaimed) return false;
    this.#book.add(orderOf(), sink, 'awaited');
    return true;
  }

  async stop(taskId: string): Promise<void> {
    const attempt = this.#book.attempts.get(taskId);
    if (attempt === undefined) return;
    const stopped = attempt.stop();
    if (attempt.phase === 'queued') void attempt.end({ status: 'lost', reason: 'it was stopped' });
    else this.#book.names.get(attempt.order.agent)?.wake();
    await stopped;
  }

  /** Attempts that agents are at go on: the next process hears of them. */
  async close(): Promise<void> {
    this.#book.close();
  }
}
