/** Pages of a list put together: a server answers fewer than asked for where it had to look at many that the caller may not see. */

/** Pages asked for at most, where there is little to read in each. */
const MAX_PAGES = 200;

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

interface Query {
  readonly limit: number;
  readonly cursor?: string;
}

/** As many as the query's limit, where there are so many; `next` as of the last page that was asked for. */
export async function fullPage<Item, Asked extends Query>(
  query: Asked,
  ask: (query: Asked) => Promise<Page<Item>>,
): Promise<Page<Item>> {
  const items: Item[] = [];
  let { cursor } = query;
  for (let pages = 1; ; pages += 1) {
    const limit = query.limit - items.length;
    const page = await ask({ ...query, limit, ...(cursor === undefined ? {} : { cursor }) });
    items.push(...page.items);
    if (page.next === null || items.length === query.limit || pages === MAX_PAGES) {
      return { items, next: page.next };
    }
    cursor = page.next;
  }
}
