/** Who is calling. What they may do is not said here. */
import type { IncomingHttpHeaders } from 'node:http';
import { VaporaError } from '../core/errors.js';
import type { Principal } from '../core/instance.js';

export interface Identity {
  /** `claimed`: nobody has checked the name; only where no authentication is configured. */
  readonly by: 'claimed' | 'token' | 'jwt';
  readonly kind: 'person' | 'agent';
  /** A person with their groups, or an agent by its name. */
  readonly principal: Principal;
  /** Roles that an agent may take tasks for; null: no restriction. */
  readonly roles: readonly string[] | null;
  /** From then on the same words identify nobody; milliseconds since the epoch, null: never. */
  readonly expiresAt: number | null;
}

export interface Identifier {
  /** False: everybody is who they say they are. */
  readonly isAuthenticating: boolean;
  /** Throws `unauthenticated`. */
  identify(headers: IncomingHttpHeaders): Promise<Identity>;
}

export function unauthenticated(why = 'the request has no token'): VaporaError {
  return new VaporaError('unauthenticated', why, {
    hint: 'hand one over with `Authorization: Bearer TOKEN`',
  });
}

export const USER_HEADER = 'vapora-user';
export const GROUPS_HEADER = 'vapora-groups';
const NOBODY = 'anonymous';

/** Names are URI-encoded: headers hold no other characters for certain. Throws `input_invalid`. */
export function claimedIdentity(headers: IncomingHttpHeaders): Identity {
  const user = decode(headers[USER_HEADER]) ?? NOBODY;
  const groups = String(headers[GROUPS_HEADER] ?? '')
    .split(',')
    .filter((text) => text !== '')
    .flatMap((text) => decode(text.trim()) ?? []);
  return { by: 'claimed', kind: 'person', principal: { user, groups }, roles: null, expiresAt: null };
}

export function claimHeaders({ user, groups }: Principal): Record<string, string> {
  return {
    [USER_HEADER]: encodeURIComponent(user),
    ...(groups.length === 0 ? {} : { [GROUPS_HEADER]: groups.map(encodeURIComponent).join(',') }),
  };
}

function decode(value: string | string[] | undefined): string | null {
  if (value === undefined || value === '') return null;
  try {
    return decodeURIComponent(String(value));
  } catch (cause) {
    throw new VaporaError(
      'input_invalid',
      `header \`${USER_HEADER}\` or \`${GROUPS_HEADER}\` is not URI-encoded`,
      {
        cause,
      },
    );
  }
}

/** Where no authentication is configured: people are taken at their word, as on the command line. */
export class TrustingIdentifier implements Identifier {
  readonly isAuthenticating = false;

  async identify(headers: IncomingHttpHeaders): Promise<Identity> {
    return claimedIdentity(headers);
  }
}
