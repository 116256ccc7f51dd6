import fc from 'fast-check';
import { expect, it } from 'vitest';
import { VaporaError } from '../../core/errors.js';
import { recordsOf } from '../../core/events.js';
import { asInstanceId } from '../../core/names.js';
import { arbitraryMoves, arbitraryTemplate, inputOf } from '../../core/random.suite.js';
import { Scenario, START } from '../../core/scenario.suite.js';
import { Event } from './events.js';
import { Instance } from './instances.js';
import { eventFromWire, eventToWire, instanceFromWire, instanceToWire } from './wire.js';

function played(run: Scenario, moves: Parameters<typeof inputOf>[1][]): Scenario {
  for (const move of moves) {
    try {
      const input = inputOf(run, move);
      if (input === 'wait') run.passTime();
      else run.send(input);
    } catch (error) {
      if (!(error instanceof VaporaError)) throw error;
    }
  }
  return run;
}

it('brings every instance and event over the wire as it is, in the shape that the API promises', () => {
  fc.assert(
    fc.property(arbitraryTemplate, arbitraryMoves, (template, moves) => {
      const { state, events } = played(new Scenario(template), moves);
      const instance = {
        ...state,
        labels: [
          ['a', 'x'],
          ['env', 'prod'],
        ] as const,
      };
      const wire: unknown = JSON.parse(JSON.stringify(instanceToWire(instance)));
      // nothing that the schema does not know, and nothing that it drops
      expect(Instance.parse(wire)).toEqual(wire);
      expect(instanceFromWire(wire)).toEqual(instance);
      const entry = { instance: asInstanceId('wf-1'), firstSeq: 1, at: START, events };
      for (const record of recordsOf(entry)) {
        const sent: unknown = JSON.parse(JSON.stringify(eventToWire(record)));
        expect(eventFromWire(Event.parse(sent))).toEqual(record);
      }
    }),
    { numRuns: 60 },
  );
});
