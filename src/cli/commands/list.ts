/** `vapora list`: instances, the latest first. */
import { quoted } from '../../config/text.js';
import { VaporaError } from '../../core/errors.js';
import type { InstanceQuery, InstanceSummary } from '../../core/ports.js';
import { fullPage } from '../full-page.js';
import { parseCount, parseLabels, parseMoment, parseState } from '../input.js';
import { summaryJson } from '../json.js';
import { INSTANCE_LOOKS, toned } from '../palette.js';
import { readEngine } from '../session.js';
import type { Shell } from '../shell.js';
import { tableLines } from '../table.js';
import { clean, count, cutTo, duration, moment } from '../text.js';

export interface ListOptions {
  readonly state?: string;
  readonly workflow?: string;
  readonly label: readonly string[];
  readonly initiator?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
  readonly cursor?: string;
}

const MAX_LIMIT = 1_000;
const MAX_LABELS_SHOWN = 40;

export async function list(shell: Shell, options: ListOptions): Promise<number> {
  parseLabels(options.label);
  const query: InstanceQuery = {
    limit: parseCount(options.limit, '`--limit`', 1, MAX_LIMIT),
    ...(options.state === undefined ? {} : { status: parseState(options.state) }),
    ...(options.workflow === undefined ? {} : { template: options.workflow }),
    ...(options.initiator === undefined ? {} : { initiator: options.initiator }),
    ...(options.since === undefined ? {} : { createdFrom: parseMoment(options.since, '`--since`') }),
    ...(options.until === undefined ? {} : { createdBefore: parseMoment(options.until, '`--until`') }),
    ...(options.label.length === 0 ? {} : { labels: options.label }),
    ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
  };
  return readEngine(shell, async ({ api, catalog }) => {
    const page = await fullPage(query, (asked) => api.list(asked));
    const { workflow } = options;
    // instances may be older than the configuration, so an unknown name is an error only where it finds nothing
    if (page.items.length === 0 && workflow !== undefined && !(await catalog.workflows()).has(workflow)) {
      throw new VaporaError('workflow_unknown', `there is no workflow ${quoted(workflow)}`);
    }
    shell.json({ instances: page.items.map(summaryJson), next: page.next });
    if (page.items.length === 0) shell.say(page.next === null ? 'no instances' : 'no instances so far');
    else
      shell.say(
        ...tableLines(
          HEAD,
          page.items.map((item) => row(item, shell)),
          shell.colors,
        ),
      );
    if (page.next !== null) shell.say('', `more: --cursor ${clean(page.next)}`);
    return 0;
  });
}

const HEAD = ['ID', 'WORKFLOW', 'STATE', 'STARTED', 'TOOK', 'BY', 'LABELS'];

function row(item: InstanceSummary, { colors, clock }: Shell): string[] {
  const { glyph, tone } = INSTANCE_LOOKS[item.status];
  const letters =
    item.deadLetters === 0 ? '' : ` ${colors.red(`(${count(item.deadLetters, 'dead letter')})`)}`;
  const labels = Object.entries(item.labels).map(([key, value]) => `${key}=${value}`);
  return [
    clean(item.id),
    clean(item.template),
    `${toned(colors, tone, `${glyph} ${item.status.replace('_', ' ')}`)}${letters}`,
    moment(item.createdAt),
    duration((item.endedAt ?? clock.now()) - item.createdAt),
    clean(item.initiator),
    cutTo(clean(labels.join(' ')), MAX_LABELS_SHOWN),
  ];
}
