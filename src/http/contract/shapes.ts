/** Building blocks of the wire format. */
import { z } from 'zod';
import { INSTANCE_TRANSITIONS, type InstanceStatus } from '../../core/instance.js';
import { isName, MAX_NAME_CHARACTERS, NAME_RULE } from '../../core/names.js';

export const Time = z.iso.datetime().meta({ description: 'ISO 8601, UTC' });
export const TimeOrNull = Time.nullable();
export const Digest = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in lower-case hex');
export const Name = z
  .string()
  .max(MAX_NAME_CHARACTERS * 2)
  .refine(isName, NAME_RULE)
  .meta({ description: NAME_RULE });
/** Of what may be there: the engine says of any other text that there is no such thing, wherever it is asked. */
export const WantedName = z
  .string()
  .min(1)
  .max(MAX_NAME_CHARACTERS * 2)
  .meta({ description: NAME_RULE });
export const Json = z.unknown().meta({ description: 'any JSON value' });

const STATES = Object.keys(INSTANCE_TRANSITIONS) as [InstanceStatus, ...InstanceStatus[]];
export const InstanceState = z.enum(STATES);

export const Labels = z.record(z.string().max(256), z.string().max(256));

export const Person = z.object({ user: z.string(), groups: z.array(z.string()) });

export const Failure = z.object({
  code: z.string().meta({ description: 'a code of the table of errors' }),
  message: z.string(),
});

export const Blob = z.object({
  digest: Digest,
  size: z.int().min(0),
  inline: z.string().optional().meta({ description: 'the content itself, where it is a short text' }),
});

export const Decision = z.object({
  effect: z.enum(['allow', 'deny']),
  policies: z.array(z.string()),
  reason: z.string(),
  errors: z.array(z.string()),
  policy_set: Digest.nullable(),
});

export const InstanceParams = z.object({ id: WantedName });
