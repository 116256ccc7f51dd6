/** Errors on the wire. */
import { z } from 'zod';

const Place = z.object({ file: z.string(), line: z.int(), column: z.int() });

/** A particular of an error, or something odd that is none. */
export const Particular = z.object({
  severity: z.enum(['error', 'warning']),
  message: z.string(),
  path: z.string().optional(),
  expected: z.string().optional(),
  hint: z.string().optional(),
  place: Place.optional(),
});

export const Problem = z
  .object({
    type: z.string().meta({ description: 'the page that explains the code' }),
    title: z.string(),
    status: z.int(),
    code: z.string().meta({ description: 'of the table of errors' }),
    detail: z.string(),
    hint: z.string().optional().meta({ description: 'what to do about it' }),
    problems: z.array(Particular).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457, with the code of the table of errors' });

export type WireProblem = z.output<typeof Problem>;
