import type { z } from 'zod';
import { CedarAuthorizer } from '../../auth/cedar.js';
import { whatIf } from '../../auth/what-if.js';
import type { WhatIfReport } from '../../core/decision-log.js';
import { nextTurn } from '../../engine/clock.js';
import type { App, ServerContext } from '../context.js';
import { whatIfPolicies } from '../contract/what-if.js';
import { toWire } from '../contract/wire.js';
import { addRoute } from '../routing.js';

export function whatIfRoutes(app: App, { guard, decisions }: ServerContext): void {
  addRoute(app, whatIfPolicies, async ({ body, identity }) => {
    guard.checkEngine(identity, 'read-policies');
    const candidate = CedarAuthorizer.fromFiles('the candidate', body.files);
    try {
      await decisions.flush();
      return answer(await whatIf(candidate, decisions.book, Date.parse(body.since), nextTurn));
    } finally {
      candidate.close();
    }
  });
}

function answer(report: WhatIfReport): z.output<typeof whatIfPolicies.answer> {
  return toWire(report) as z.output<typeof whatIfPolicies.answer>;
}
