/** An orderly end: what agents are doing is let be, and nothing new is given to them. */
import type { Clock } from '../core/ports.js';
import type { SwarmCoordinator } from '../swarm/coordinator.js';

const LOOK_MS = 25;

/** Resolves once no attempt is under way any more, after `graceMs` at the latest; answers how many still are. */
export async function drain(swarm: SwarmCoordinator, clock: Clock, graceMs: number): Promise<number> {
  swarm.pause();
  const until = clock.now() + graceMs;
  while (swarm.inFlight > 0 && clock.now() < until) {
    await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve));
  }
  return swarm.inFlight;
}
