import { describe, expect, it } from 'vitest';
import { Scenario, template } from './scenario.suite.js';

describe('saga', () => {
  it('takes completed stages back in the exact reverse of their completion', () => {
    const run = new Scenario(template(['a', 'b', 'c']), { replies: { 'do-c': ['fail'] } }).run();
    expect(run.state.status).toBe('failed');
    expect(run.seen('stage_compensated').map((event) => event.stage)).toEqual(['b', 'a']);
  });
});
