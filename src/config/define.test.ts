import { describe, expect, it } from 'vitest';
import { VaporaError } from '../core/errors.js';
import { defineWorkflow } from './define.js';
import { parseConfig } from './load.js';

describe('defineWorkflow', () => {
  it('makes the same template as the same workflow in a file', () => {
    const text = `
[[workflows]]
name = "w"
[[workflows.stages]]
name = "build"
agents = ["builder"]
retry = { max_attempts = 7 }
[[workflows.stages]]
name = "deploy"
agents = ["deployer"]
timeout = 1.5
`;
    const defined = defineWorkflow({
      name: 'w',
      stages: [
        { name: 'build', agents: ['builder'], retry: { max_attempts: 7 } },
        { name: 'deploy', agents: ['deployer'], timeout: 1.5, parallel: undefined },
      ],
    });
    expect(defined).toEqual(parseConfig(text, { file: 'workflows.toml' }, {}).templates.get('w'));
    expect(Object.isFrozen(defined.stages[0]?.retry)).toBe(true);
  });

  it('takes over the settings of the engine that will run it', () => {
    const stages = [{ name: 's', agents: ['r'], irreversible: true }];
    const template = defineWorkflow(
      { name: 'w', stages },
      { cedarPolicyDir: '/policies', workflowTimeoutMs: 5, onDeny: 'compensate' },
    );
    expect(template).toMatchObject({ timeoutMs: 5, onDeny: 'compensate' });
    expect(() => defineWorkflow({ name: 'w', stages })).toThrow(VaporaError);
  });

  it('reports every problem with its path in the definition', () => {
    const definition = {
      name: 'a b',
      stages: [{ name: 's', agents: ['r'], timeuot: 1, needs: null, timeout: 10n }],
    };
    // What the compiler would refuse may still come from JavaScript.
    const act = () => Reflect.apply(defineWorkflow, undefined, [definition]);
    expect(act).toThrow('4 problems in the workflow definition');
    try {
      act();
    } catch (error) {
      const problems = error instanceof VaporaError ? error.problems : [];
      expect(problems.map(({ path, place }) => [path, place])).toEqual([
        ['name', undefined],
        ['stages[0].timeuot', undefined],
        ['stages[0].needs', undefined],
        ['stages[0].timeout', undefined],
      ]);
    }
  });

  it('refuses what contains itself or is no table', () => {
    const loop: unknown[] = [];
    loop.push(loop);
    for (const definition of [loop, null, 1, new Map(), { name: 'w', stages: loop }]) {
      expect(() => Reflect.apply(defineWorkflow, undefined, [definition])).toThrow(VaporaError);
    }
  });
});
