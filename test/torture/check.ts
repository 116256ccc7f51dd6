/**
 * What must be true whatever was killed, checked against three independent accounts: what clients were told, what agents wrote down
 * themselves, and what the store says. Pure.
 */
import type { Fact, FactEvent } from './facts.js';
import type { LedgerLine } from './ledger.js';
import type { Workload } from './workload.js';

/**
 * `loss`: something acknowledged is not there, or what began never ended. `double`: an effect twice, or an attempt where none may be.
 * `order`: taken back in another order. `chain`: a history or content that is not as it was written.
 */
export type Fault = 'loss' | 'double' | 'order' | 'chain';

export interface Finding {
  readonly fault: Fault;
  readonly id: string;
  readonly message: string;
}

export interface Accounts {
  /** Lines of words, the first what the client was told, the second the instance. */
  readonly notes: readonly (readonly string[])[];
  /** In the order in which it was written. */
  readonly ledger: readonly LedgerLine[];
  readonly facts: readonly Fact[];
  readonly workloadOf: (id: string) => Workload;
  readonly sagaParallelism: number;
}

/** What the history must show where a wish was acknowledged. */
const PROOF: Readonly<Record<string, string>> = {
  approved: 'approval_given',
  rejected: 'approval_rejected',
  resolved: 'dead_letter_resolved',
};

export function check(accounts: Accounts): Finding[] {
  const facts = new Map(accounts.facts.map((fact) => [fact.id, fact]));
  const ledgers = groupedBy(accounts.ledger, ({ key }) => key.slice(0, key.indexOf('/')));
  const findings = accounts.notes.flatMap((note) => checkNote(note, facts));
  for (const fact of accounts.facts) {
    const ledger = ledgers.get(fact.id) ?? [];
    findings.push(...checkEnd(fact, accounts.workloadOf(fact.id)), ...checkAttempts(fact, ledger));
    findings.push(...checkRollback(fact, ledger, accounts));
  }
  for (const id of ledgers.keys()) {
    if (!facts.has(id))
      findings.push({ fault: 'loss', id, message: 'agents worked for it, and it is not in the store' });
  }
  return findings;
}

function groupedBy(
  lines: readonly LedgerLine[],
  nameOf: (line: LedgerLine) => string,
): Map<string, LedgerLine[]> {
  const groups = new Map<string, LedgerLine[]>();
  for (const line of lines) {
    const name = nameOf(line);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [line]);
    else group.push(line);
  }
  return groups;
}

function checkNote(
  [word = '', id = '', status]: readonly string[],
  facts: ReadonlyMap<string, Fact>,
): Finding[] {
  const fact = facts.get(id);
  const loss = (message: string): Finding[] => [
    { fault: 'loss', id, message: `acknowledged as ${word}, ${message}` },
  ];
  if (fact === undefined) return loss('and not in the store');
  if (fact.broken !== null) return [];
  if (word === 'ended' && fact.status !== status) return loss(`${status}, and now ${fact.status}`);
  if (word === 'cancelled' && fact.status !== 'cancelled') return loss(`and ${fact.status}`);
  const proof = PROOF[word];
  const isShown = proof === undefined || fact.events.some(({ type }) => type === proof);
  return isShown ? [] : loss(`and its history shows no ${proof}`);
}

function checkEnd({ id, status, broken, workflow }: Fact, workload: Workload): Finding[] {
  if (broken !== null) return [{ fault: 'chain', id, message: broken }];
  if (workflow !== workload.name)
    return [{ fault: 'loss', id, message: `runs ${workflow}, not ${workload.name}` }];
  return workload.ends.includes(status) ? [] : [{ fault: 'loss', id, message: `ended as ${status}` }];
}

const keyOf = (id: string, { stage, role, kind }: FactEvent): string => `${id}/${stage}/${role}/${kind}`;

/** Each key by itself: one attempt after the other, none before its dispatch, none after its success, one effect. */
function checkAttempts(fact: Fact, ledger: readonly LedgerLine[]): Finding[] {
  const { id } = fact;
  const findings: Finding[] = [];
  const double = (message: string) => findings.push({ fault: 'double', id, message });
  if (fact.broken !== null) return [];
  const dispatched = new Set<string>();
  const completed = new Map<string, number>();
  for (const event of fact.events) {
    if (event.type === 'task_dispatched') dispatched.add(`${keyOf(id, event)}#${event.attempt}`);
    if (event.type !== 'task_completed') continue;
    if (completed.has(keyOf(id, event))) double(`${keyOf(id, event)} completed twice`);
    completed.set(keyOf(id, event), event.attempt ?? 0);
  }
  for (const [key, lines] of groupedBy(ledger, ({ key }) => key)) {
    let last = 0;
    for (const { mark, attempt } of lines) {
      if (attempt < last) double(`${key}: attempt ${attempt} went on after ${last} had begun`);
      if (mark === 'b' && attempt === last) double(`${key}: attempt ${attempt} began twice`);
      if (!dispatched.has(`${key}#${attempt}`)) double(`${key}: attempt ${attempt} is not in the history`);
      last = Math.max(last, attempt);
    }
    if (last > (completed.get(key) ?? last))
      double(`${key}: attempt ${last} after ${completed.get(key)} had completed`);
    if (lines.filter(({ mark }) => mark === 'e').length > 1) double(`${key}: had its effect more than once`);
  }
  for (const [key, attempt] of completed) {
    const isDone = ledger.some((line) => line.key === key && line.mark === 'd' && line.attempt === attempt);
    if (!isDone) findings.push({ fault: 'loss', id, message: `${key} completed without its agent` });
  }
  return findings;
}

/** What was completed is taken back, all of it, the last first, each ended before the next begins. */
function checkRollback(fact: Fact, ledger: readonly LedgerLine[], accounts: Accounts): Finding[] {
  const { id, broken } = fact;
  if (broken !== null) return [];
  const workload = accounts.workloadOf(id);
  const wanted = wantedOf(fact, workload);
  const spans = spansOf(ledger);
  const findings = wanted.flatMap((name) => checkSettled(fact, name, workload.letters.includes(name)));
  for (const name of wanted) {
    if (!spans.has(name)) findings.push({ fault: 'loss', id, message: `nobody took ${name} back` });
  }
  const extra = [...spans.keys()].filter((name) => !wanted.includes(name));
  if (extra.length > 0) {
    findings.push({
      fault: 'double',
      id,
      message: `${extra.join()} was taken back and should not have been`,
    });
  }
  for (const [first, second] of pairsOf(wanted, workload, accounts.sagaParallelism)) {
    const [end, begin] = [spans.get(first)?.end ?? 0, spans.get(second)?.begin ?? Number.POSITIVE_INFINITY];
    if (end > begin)
      findings.push({ fault: 'order', id, message: `${second} was taken back before ${first} was` });
  }
  return findings;
}

/** Stages to be taken back, the first to be first. */
function wantedOf({ status, events }: Fact, { stages }: Workload): string[] {
  if (status !== 'failed' && status !== 'cancelled') return [];
  const withUndo = new Set(
    stages.filter(({ compensation_agents: undo = [] }) => undo.length > 0).map(({ name }) => name),
  );
  const completions = events.flatMap(({ type, stage = '' }) => (type === 'stage_completed' ? [stage] : []));
  return completions.filter((name) => withUndo.has(name)).reverse();
}

function checkSettled({ id, events }: Fact, name: string, isLetter: boolean): Finding[] {
  const wanted = isLetter ? 'compensation_dead_lettered' : 'stage_compensated';
  const count = events.filter(({ type, stage }) => type === wanted && stage === name).length;
  if (count === 1) return [];
  return [{ fault: count === 0 ? 'loss' : 'double', id, message: `${name} has ${count} times ${wanted}` }];
}

/** First and last word of each stage's compensations, as places in the ledger. */
function spansOf(ledger: readonly LedgerLine[]): Map<string, { begin: number; end: number }> {
  const spans = new Map<string, { begin: number; end: number }>();
  ledger.forEach(({ key }, index) => {
    const [, stage = '', , kind] = key.split('/');
    if (kind !== 'compensate') return;
    spans.set(stage, { begin: spans.get(stage)?.begin ?? index, end: index });
  });
  return spans;
}

/** Which stage must have been taken back before which: each before all that follow it, or only where one builds upon the other. */
function pairsOf(wanted: readonly string[], { stages }: Workload, parallelism: number): [string, string][] {
  return wanted.flatMap((later, index) =>
    wanted
      .slice(index + 1)
      .filter((earlier) => parallelism === 1 || buildsUpon(later, earlier, stages))
      .map((earlier): [string, string] => [later, earlier]),
  );
}

function buildsUpon(later: string, earlier: string, stages: Workload['stages']): boolean {
  const at = stages.findIndex(({ name }) => name === later);
  const needs = stages[at]?.needs ?? stages.slice(Math.max(0, at - 1), at).map(({ name }) => name);
  return needs.some((name) => name === earlier || buildsUpon(name, earlier, stages));
}
