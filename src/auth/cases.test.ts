import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { CedarAuthorizer } from './cedar.js';
import { authorizerOf, cleanUp } from './policy-dir.suite.js';
import { parsePolicyTest } from './policy-test.js';

const suiteSchema = z.strictObject({
  policies: z.record(z.string(), z.string()),
  entities: z.array(z.unknown()).optional(),
  cases: z.array(
    z.strictObject({
      name: z.string(),
      principal: z.string(),
      action: z.string(),
      resource: z.string(),
      context: z.record(z.string(), z.unknown()).optional(),
      effect: z.enum(['allow', 'deny']),
      policies: z.array(z.string()),
      reason: z.string(),
    }),
  ),
});

const folder = join(import.meta.dirname, 'cases');

for (const file of readdirSync(folder).sort()) {
  const suite = suiteSchema.parse(JSON.parse(readFileSync(join(folder, file), 'utf8')));
  describe(`decisions of ${file}`, () => {
    let authorizer: CedarAuthorizer;
    beforeAll(async () => {
      const entities =
        suite.entities === undefined ? {} : { 'entities.json': JSON.stringify(suite.entities) };
      ({ authorizer } = await authorizerOf({ ...suite.policies, ...entities }));
    });
    afterAll(cleanUp);

    it.each(suite.cases)('$name', ({ principal, action, resource, context, effect, policies, reason }) => {
      const typed = { principal, action, resource, context: JSON.stringify(context ?? {}) };
      const decision = authorizer.authorize(parsePolicyTest(typed));
      expect({ ...decision, errors: [] }).toEqual({
        effect,
        policies,
        reason,
        errors: [],
        policySet: authorizer.policySet,
      });
      expect(decision.errors.length > 0).toBe(reason.startsWith('evaluation failed'));
    });
  });
}
