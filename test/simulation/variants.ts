/**
 * The engine, broken on purpose: each variant must be caught, or the simulation could not fail. A variant is a replacement in the
 * compiled code, which must fit exactly once: when the code changes, the variant has to follow.
 */

export interface Variant {
  readonly name: string;
  /** In `dist/` or `simulation/`, which is `test/simulation/` compiled. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const ACTOR = 'dist/engine/instance-actor.js';

export const VARIANTS: readonly Variant[] = [
  {
    name: 'effects are started before the commit',
    file: ACTOR,
    from: 'this.#stored = await this.#shell.store.save({ previous, next, at, events: turn.events, charge });',
    to: `this.#stored = { instance: next, head: previous?.head };
        this.#reconcile(at);
        this.#stored = await this.#shell.store.save({ previous, next, at, events: turn.events, charge });`,
  },
  {
    name: 'callers are told before the commit',
    file: ACTOR,
    from: 'await this.#commit(turn);',
    to: `{
                for (const message of granted)
                    if (turn.state) message.resolve?.({ ...turn.state, revision: (this.#stored?.instance.revision ?? 0) + 1 });
                await this.#commit(turn);
            }`,
  },
  {
    name: 'a compensation that begins is taken off the plan instead of marked',
    file: 'dist/core/evolve-task.js',
    from: "...toCompensation(compensation, 'running'),\n                tasks: template.compensationAgents",
    to: "...toCompensation(toCompensation(compensation, 'running'), 'compensated'),\n                tasks: template.compensationAgents",
  },
  {
    name: 'failures of the task count for its compensation',
    file: 'dist/core/fail-stage.js',
    from: 'const failures = task.failures + 1;',
    to: `const failures = task.failures + 1 + (kind === 'execute' ? 0
        : draft.stage(stage).tasks.reduce((sum, other) => sum + other.failures, 0));`,
  },
  {
    name: 'a lease that has run out is not looked at',
    file: 'dist/swarm/coordinator.js',
    from: 'this.#options.onExpired(key);',
    to: ';',
  },
  {
    name: 'a lease runs out early',
    file: 'dist/swarm/coordinator.js',
    from: 'lease.expiresAt <= now)',
    to: 'lease.expiresAt <= now + 60_000)',
  },
  {
    name: 'a lease that has run out is looked at once only',
    file: 'dist/swarm/coordinator.js',
    from: 'lease.expiresAt = now + lease.leaseMs;',
    to: 'lease.expiresAt = Number.POSITIVE_INFINITY;',
  },
  {
    name: 'no permit is asked for',
    file: 'dist/core/forward.js',
    from: "if (!stage.permits.includes('execute-stage'))\n        return 'execute-stage';",
    to: '',
  },
  {
    name: 'a late result is applied',
    file: 'dist/core/decide.js',
    from: 'task.attempt !== attempt || ',
    to: '',
  },
  {
    name: 'a retry comes without its delay',
    file: 'dist/core/fail-stage.js',
    from: 'draft.now + backoffMs(policy, failures, draft.moment.random)',
    to: 'draft.now',
  },
  {
    name: 'deadlines pass early',
    file: 'dist/core/deadlines.js',
    from: 'return at !== null && at <= draft.now;',
    to: 'return at !== null && at <= draft.now + 500;',
  },
  {
    name: 'what uses up the time of a budget is let be',
    file: 'dist/core/deadlines.js',
    from: 'cutOff(draft);',
    to: ';',
  },
  {
    name: 'a budget that is used up holds nothing',
    file: 'dist/core/forward.js',
    from: 'if (breach === undefined)',
    to: 'if (true)',
  },
  {
    name: 'timers are forgotten',
    file: 'dist/engine/timers.js',
    from: 'this.#heap.push(id, at);\n        this.#compact();',
    to: 'if (at % 4 === 0) return;\n        this.#heap.push(id, at);\n        this.#compact();',
  },
  {
    name: 'the hash chain is skipped',
    file: 'dist/store/chain.js',
    from: 'previous: previous?.head ?? CHAIN_START,',
    to: 'previous: CHAIN_START,',
  },
  {
    name: 'the plan is not in the commit of the failure',
    file: 'dist/core/forward.js',
    from: 'if (passed === undefined) {',
    to: "if (passed === undefined) {\n        if (draft.events.some((event) => event.type === 'stage_failed')) return;",
  },
  {
    name: 'a point of no return is taken back',
    file: 'dist/core/passed.js',
    from: 'stage.irreversible &&',
    to: 'false &&',
  },
  {
    name: 'a completed task runs again',
    file: 'dist/core/evolve-task.js',
    from: "return task.status === 'completed' ? task : ",
    to: 'return ',
  },
  {
    name: 'compensation goes in the order of completion',
    file: 'dist/core/saga.js',
    from: 'completionOf(b) - completionOf(a)',
    to: 'completionOf(a) - completionOf(b)',
  },
  {
    name: 'compensations do not wait for those of what builds upon them',
    file: 'dist/core/saga.js',
    from: 'other !== name && ancestorsOf(template, other).has(name)',
    to: 'false',
  },
  {
    name: 'work starts while an attempt is being stopped',
    file: 'dist/engine/attempts.js',
    from: 'if (this.isStopping || this.#shell.isClosing)',
    to: 'if (this.#shell.isClosing)',
  },
  {
    name: 'recovery forgets what was in flight',
    file: ACTOR,
    from: "this.send({ type: 'lost', ...at, attempt, reason: 'the engine was restarted' });",
    to: ';',
  },
  {
    name: 'a compensation that can not be done counts as done',
    file: 'dist/core/saga.js',
    from: "draft.emit({ type: 'compensation_dead_lettered', stage: stage.name, error });",
    to: "draft.emit({ type: 'stage_compensated', stage: stage.name });",
  },
  {
    name: 'agents get more than they can take',
    file: 'dist/swarm/coordinator.js',
    from: 'member.inFlight += 1;\n        this.#assignments += 1;',
    to: 'this.#assignments += 1;',
  },
  {
    name: 'capacity is not given back after a stop',
    file: 'dist/engine/attempts.js',
    from: "this.#shell.swarm.release(taskId, 'neutral');\n            this.#stopping -= 1;",
    to: 'this.#stopping -= 1;',
  },
  {
    name: 'finished steps are forgotten',
    file: 'dist/engine/orders.js',
    from: 'steps: task.steps,',
    to: 'steps: [],',
  },
  {
    name: 'a step is said to be kept before it is',
    file: 'dist/engine/attempts.js',
    from: "await this.#owner.ask({ type: 'step', ...at, attempt: number, result });",
    to: "void this.#owner.ask({ type: 'step', ...at, attempt: number, result });",
  },
  {
    name: 'a step that is kept is kept once more',
    file: 'dist/core/decide.js',
    from: 'if (task.steps.some((step) => step.name === input.result.name)) return;',
    to: '',
  },
  {
    name: 'the log leaves something out',
    file: 'dist/store/chain.js',
    from: 'const events = JSON.stringify(commit.events);',
    to: "const events = JSON.stringify(commit.events.map((event) => event.type === 'task_failed' ? { ...event, log: null } : event));",
  },
  {
    name: 'the time at which somebody who sleeps has to be woken is forgotten',
    file: 'dist/engine/roster.js',
    from: 'this.#alarm.note(at);',
    to: ';',
  },
  {
    name: 'only the first who sleep are woken',
    file: 'dist/engine/alarm.js',
    from: 'await this.#lookAhead(now);',
    to: ';',
  },
  {
    name: 'who slept when the engine began is not woken',
    file: 'dist/engine/alarm.js',
    from: 'this.#isOn = true; await this.#lookAhead(after);',
    to: 'this.#isOn = true;',
  },
  {
    name: 'the alarm rings late',
    file: 'dist/engine/alarm.js',
    from: 'await this.#wakeDue(now);',
    to: 'await this.#wakeDue(now - 60_000);',
  },
  {
    name: 'an agent that has come while the engine was away is not noticed',
    file: 'dist/engine/orchestrator.js',
    from: 'return count + (await this.#wakeBlocked(roles));',
    to: 'return count;',
  },
  {
    name: 'what has moved on while the store was read is taken up as it was read',
    file: 'dist/engine/roster.js',
    from: 'left.has(id) ? undefined : stored',
    to: 'stored',
  },
  {
    name: 'an agent elsewhere is not waited for after a restart',
    file: ACTOR,
    from: 'if (this.#attempts.resume(found, order))\n                continue;',
    to: ';',
  },
  {
    name: 'an agent elsewhere that was called off before a restart is not waited for',
    file: ACTOR,
    from: 'for (const found of calledOff(instance))',
    to: 'for (const found of [])',
  },
  {
    name: 'an instance goes to sleep while the content of an answer is saved',
    file: 'dist/engine/attempts.js',
    from: 'return this.#underWay + this.#saving;',
    to: 'return this.#underWay;',
  },
  {
    name: 'an instance is woken twice at a time',
    file: 'dist/engine/roster.js',
    from: 'const waking = this.#waking.get(id);',
    to: 'const waking = undefined;',
  },
  {
    name: 'whoever was replaced may still write',
    file: 'simulation/disk.js',
    from: 'if (fence !== this.fence)',
    to: 'if (false)',
  },
  {
    name: 'the revision of a commit is not compared, nor the fence',
    file: 'simulation/disk.js',
    from: `write(batch, fence) {
        if (fence !== this.fence)
            return batch.map(() => ({ error: this.fenced() }));
        return batch.map((written) => this.#writeOne(written, fence));`,
    to: 'write(batch, fence) { return batch.map((written) => ({ stored: this.append({ ...written, fence }) }));',
  },
];
