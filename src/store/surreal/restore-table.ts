/** Whether a restore was begun and not brought to its end. */
import type { RestoreBook } from '../../core/attic.js';
import { BodyTable, type BodyTableParts } from './body-table.js';

interface RestoreMark {
  readonly beganAt: number;
  readonly endedAt: number | null;
}

export class RestoreTable implements RestoreBook {
  readonly #table: BodyTable<RestoreMark>;

  constructor(parts: BodyTableParts) {
    this.#table = new BodyTable('restores', () => 'last', parts);
  }

  async isHalfRestored(): Promise<boolean> {
    return (await this.#table.load()).some(({ endedAt }) => endedAt === null);
  }

  async beginRestore(at: number): Promise<void> {
    await this.#table.save({ beganAt: at, endedAt: null });
  }

  async endRestore(at: number): Promise<void> {
    await this.#table.save({ beganAt: at, endedAt: at });
  }
}
