/** What a store says of an instance, as far as it is checked. */
export interface Fact {
  readonly id: string;
  readonly workflow: string;
  readonly status: string;
  /** Why its history or its content is not as it was written; null: it is. */
  readonly broken: string | null;
  readonly events: readonly FactEvent[];
  /** Hash of the last entry. */
  readonly head: string;
}

export interface FactEvent {
  readonly type: string;
  readonly stage?: string | undefined;
  readonly role?: string | undefined;
  readonly kind?: 'execute' | 'compensate' | undefined;
  readonly attempt?: number | undefined;
}

export function parseFacts(text: string): Fact[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Fact);
}
