/**
 * More of the engine, broken on purpose: limits, what is said to whom, what is handed on. A variant is there for each check that no
 * other one would fall to.
 */
import type { Variant } from './variants.js';

const ACTOR = 'dist/engine/instance-actor.js';

export const MORE_VARIANTS: readonly Variant[] = [
  {
    name: 'more is taken back at once than saga_parallelism allows',
    file: 'dist/core/saga.js',
    from: 'if (running >= template.sagaParallelism)\n        return false;',
    to: '',
  },
  {
    name: 'more roles of a stage are at work than max_parallel allows',
    file: 'dist/core/effects.js',
    from: 'isInFlight(task)).slice(0, maxParallel);',
    to: 'isInFlight(task));',
  },
  {
    name: 'more goes on at once than max_parallel_tasks allows',
    file: 'dist/swarm/coordinator.js',
    from: 'return maxParallelTasks !== null && this.#leases.size >= maxParallelTasks;',
    to: 'return false;',
  },
  {
    name: 'an agent gets tasks of roles that it does not have',
    file: 'dist/swarm/coordinator.js',
    from: 'chooseAgent((this.#byRole.get(want.role) ?? []).map(candidateOf))',
    to: 'chooseAgent([...this.#members.values()].map(candidateOf))',
  },
  {
    name: 'listeners hear of it before the commit',
    file: ACTOR,
    from: 'this.#stored = await this.#shell.store.save({ previous, next, at, events: turn.events, charge });',
    to: `this.#announce(previous?.instance ?? null, next, at, turn.events);
        this.#stored = await this.#shell.store.save({ previous, next, at, events: turn.events, charge });`,
  },
  {
    name: 'whoever was granted something is told that it was refused',
    file: ACTOR,
    from: 'for (const message of granted)\n            message.resolve?.(this.#current());',
    to: `for (const message of granted)
            if (message.input.by === undefined) message.resolve?.(this.#current());
            else message.reject?.(new VaporaError('not_waiting', 'it was done, and it is said that it was not'));`,
  },
  {
    name: 'an instance that has nothing to do stays awake',
    file: ACTOR,
    from: 'if (this.isIdle())\n            this.#onIdle(this);',
    to: ';',
  },
  {
    name: 'the state says something that the log does not',
    file: ACTOR,
    from: 'const next = { ...turn.state, revision:',
    to: "const next = { ...turn.state, labels: [['where', 'nowhere']], revision:",
  },
  {
    name: 'time runs backwards with the clock',
    file: 'dist/engine/shell.js',
    from: 'Math.max(clock.now(), committed?.updatedAt ?? 0)',
    to: 'clock.now()',
  },
  {
    name: 'the content of an answer is not waited for',
    file: 'dist/engine/blobs.js',
    from: '{ digest: await store.saveBlob(content), size:',
    to: '{ digest: (void store.saveBlob(content), sha256(content)), size:',
  },
  {
    name: 'an agent reads less than what was made',
    file: 'dist/engine/attempts.js',
    from: 'return loadBlob(this.#shell.store, ref);',
    to: 'return loadBlob(this.#shell.store, ref).then((content) => content.slice(0, -1));',
  },
  {
    name: 'an agent is given what the stages right before have made only',
    file: 'dist/engine/orders.js',
    from: 'artifactsOf(instance, (stage) => before.has(stage))',
    to: 'artifactsOf(instance, (stage) => template.stages.find(({ name }) => name === at.stage).needs.includes(stage))',
  },
  {
    name: 'an approval is not waited for',
    file: 'dist/core/forward.js',
    from: 'if (!template.approvalRequired)\n        return false;',
    to: 'return false;',
  },
  {
    name: 'an approval stands for something else than what was looked at',
    file: 'dist/core/operator.js',
    from: 'wish.digest !== null && wish.digest !== digest',
    to: 'false',
  },
  {
    name: 'a point of no return is passed without a permit of its own',
    file: 'dist/core/forward.js',
    from: "const isPassed = !template.irreversible || stage.approval?.status === 'approved';",
    to: 'const isPassed = true;',
  },
  {
    name: 'a denial blocks where everything should be taken back',
    file: 'dist/core/decide.js',
    from: "if (draft.template.onDeny === 'compensate')",
    to: 'if (false)',
  },
  {
    name: 'the authorizer is told that somebody else has started it',
    file: 'dist/engine/requests.js',
    from: 'initiator: instance.initiator,\n        instance: instance.id,\n        attempt: stage ===',
    to: "initiator: { ...instance.initiator, user: 'nobody' },\n        instance: instance.id,\n        attempt: stage ===",
  },
  {
    name: 'a retry takes over what was taken back',
    file: 'dist/core/retry.js',
    from: "return status === 'none' || status === 'skipped';",
    to: 'return true;',
  },
  {
    name: 'a retry takes over what builds upon what it does not take over',
    file: 'dist/core/retry.js',
    from: 'stands && needs.every((need) => kept.has(need))',
    to: 'stands',
  },
  {
    name: 'a rollback counts against the time limit of the instance',
    file: 'dist/core/evolve.js',
    from: 'instance.deadlineAt + tookMs',
    to: 'instance.deadlineAt',
  },
  {
    name: 'attempts are counted anew after a rollback',
    file: 'dist/core/evolve-task.js',
    from: 'attempt: task.attempt };\n}\n/** The task of a stage that goes on',
    to: 'attempt: 0 };\n}\n/** The task of a stage that goes on',
  },
  {
    name: 'a stage that runs anew keeps its idempotency key',
    file: 'dist/core/instance.js',
    from: 'return run > 1 ?',
    to: 'return run > 1_000_000 ?',
  },
];
