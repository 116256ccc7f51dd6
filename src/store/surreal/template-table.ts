/** Templates by their hash: what instances were started with never changes, so what was read once is kept. */
import { LRUCache } from 'lru-cache';
import { RecordId } from 'surrealdb';
import type { Digest } from '../../core/names.js';
import type { WorkflowTemplate } from '../../core/template.js';
import type { Database } from './database.js';

const TABLE = 'workflow_templates';
const MAX_REMEMBERED = 1_000;

export class TemplateTable {
  readonly #db: Database;
  readonly #known = new LRUCache<Digest, WorkflowTemplate>({ max: MAX_REMEMBERED });

  constructor(db: Database) {
    this.#db = db;
  }

  /** `write` carries out a write that may be repeated, and fails as the store fails. */
  async save(template: WorkflowTemplate, write: (work: () => Promise<void>) => Promise<void>): Promise<void> {
    if (this.#known.has(template.hash)) return;
    const rows = [{ id: template.hash, body: JSON.stringify(template) }];
    await write(async () => {
      await this.#db.run(`INSERT IGNORE INTO ${TABLE} $rows RETURN NONE`, { rows });
    });
    this.#known.set(template.hash, template);
  }

  async load(hash: Digest): Promise<WorkflowTemplate | null> {
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const [found] = await this.#db.run('SELECT VALUE body FROM $id', { id: new RecordId(TABLE, hash) });
    const body = (found as readonly unknown[])[0];
    if (typeof body !== 'string') return null;
    const template = JSON.parse(body) as WorkflowTemplate;
    this.#known.set(hash, template);
    return template;
  }
}
