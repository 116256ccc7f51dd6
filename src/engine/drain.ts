/** An orderly end: what agents are doing is let be, and nothing new is given to them. */
import type { Clock } from '../core/ports.js';
import type { SwarmCoordinator } from '../swarm/coordinator.js';

const LOOK_MS = 25;

/**
 * Resolves once no attempt is under way that would end with this process, after `graceMs` at the latest; answers how many still are.
 * `outlives`: whether an attempt's agent goes on without this process, so that there is nothing to wait for.
 */
export async function drain(
  swarm: SwarmCoordinator,
  clock: Clock,
  graceMs: number,
  outlives: (taskId: string) => boolean,
): Promise<number> {
  swarm.pause();
  const left = () => swarm.underWay().filter((taskId) => !outlives(taskId)).length;
  const until = clock.now() + graceMs;
  while (left() > 0 && clock.now() < until) {
    await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve));
  }
  return left();
}
