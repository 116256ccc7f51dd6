/** What authorizes where no policy directory is configured. */
import type { Decision } from '../core/instance.js';
import type { AuthorizationRequest, Authorizer } from '../core/ports.js';

/** Allows everything, and says in each decision that nothing was enforced. */
export class AllowAllAuthorizer implements Authorizer {
  readonly isEnforcing = false;
  readonly policySet = null;

  authorize(_request: AuthorizationRequest): Decision {
    return {
      effect: 'allow',
      policies: [],
      reason: 'no policies: allow-all',
      errors: [],
      policySet: null,
    };
  }
}
