/** Agents of this process and agents elsewhere, as one. */
import type { AgentInfo, AgentTransport, TaskOrder, TaskSink } from '../core/ports.js';

/**
 * The first transport that has the agent of an order carries it. A name that two have is an error of whoever let the second in:
 * transports that agents enter by themselves ask before.
 */
export class JoinedTransport implements AgentTransport {
  readonly #local: AgentTransport;
  readonly #remote: AgentTransport;

  constructor(local: AgentTransport, remote: AgentTransport) {
    this.#local = local;
    this.#remote = remote;
  }

  agents(): readonly AgentInfo[] {
    return [...this.#local.agents(), ...this.#remote.agents()];
  }

  onChange(listener: () => void): () => void {
    const ends = [this.#local.onChange(listener), this.#remote.onChange(listener)];
    return () => {
      for (const end of ends) end();
    };
  }

  dispatch(order: TaskOrder, sink: TaskSink): void {
    const carrier = this.#isLocal(order.agent) ? this.#local : this.#remote;
    carrier.dispatch(order, sink);
  }

  resume(agent: string, orderOf: () => TaskOrder, sink: TaskSink): boolean {
    return (this.#isLocal(agent) ? this.#local : this.#remote).resume(agent, orderOf, sink);
  }

  async stop(taskId: string): Promise<void> {
    await Promise.all([this.#local.stop(taskId), this.#remote.stop(taskId)]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#local.close(), this.#remote.close()]);
  }

  #isLocal(name: string): boolean {
    return this.#local.agents().some((agent) => agent.name === name);
  }
}
