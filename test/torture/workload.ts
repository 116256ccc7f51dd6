/** What is run: workflows of every shape, how often each, and what must become of them. */
import type { WorkflowDefinition } from '../../src/config/schema.js';
import { Chance } from './chance.js';

/** What the operator does to an instance. */
export type Wish = 'approve' | 'reject' | 'cancel';

export interface Workload {
  readonly name: string;
  /** Of all instances, relative to the others. */
  readonly weight: number;
  /** With agents that are commands: slower, so they get lines of their own. */
  readonly isCommand: boolean;
  readonly stages: WorkflowDefinition['stages'];
  readonly wish: Wish | null;
  readonly ends: readonly string[];
  /** Stages whose compensation fails for good and waits as a dead letter. */
  readonly letters: readonly string[];
}

type Stage = WorkflowDefinition['stages'][number];
type More = Partial<Omit<Stage, 'name' | 'agents'>>;

/** Kills of agents are failures that count; no number of them may end an instance. */
const RETRY = { max_attempts: 1_000, initial_ms: 1, max_ms: 20 };

function stage(name: string, agents: readonly string[], more: More = {}): Stage {
  return { name, agents: [...agents], retry: RETRY, compensation_retry: RETRY, ...more };
}

const undone = (name: string, by: readonly string[], undo: string, more: More = {}): Stage =>
  stage(name, by, { compensation_agents: [undo], ...more });

const [DONE, FAILED] = [['completed'], ['failed']];

interface Shape extends Partial<Pick<Workload, 'wish' | 'letters'>> {
  readonly stages: Workload['stages'];
  readonly ends: readonly string[];
}

const SHAPES: Readonly<Record<string, Shape & { readonly weight: number }>> = {
  sequence: {
    weight: 28,
    stages: [stage('one', ['work']), stage('two', ['work']), stage('three', ['work'])],
    ends: DONE,
  },
  parallel: {
    weight: 12,
    stages: [
      stage('one', ['work']),
      stage('many', ['work', 'more', 'help'], { parallel: true }),
      stage('last', ['more']),
    ],
    ends: DONE,
  },
  graph: {
    weight: 10,
    stages: [
      stage('a', ['work']),
      stage('b', ['more'], { needs: ['a'] }),
      stage('c', ['help'], { needs: ['a'] }),
      stage('d', ['work'], { needs: ['b', 'c'] }),
    ],
    ends: DONE,
  },
  flaky: { weight: 5, stages: [stage('one', ['flaky']), stage('two', ['steps'])], ends: DONE },
  saga: {
    weight: 14,
    stages: [
      undone('one', ['work'], 'work'),
      undone('two', ['more', 'help'], 'more', { parallel: true }),
      undone('three', ['flaky'], 'flaky'),
      stage('four', ['broken'], { retry: { max_attempts: 1 } }),
    ],
    ends: FAILED,
  },
  'saga-graph': {
    weight: 10,
    stages: [
      undone('a', ['work'], 'work'),
      undone('b', ['more'], 'more', { needs: ['a'] }),
      undone('c', ['help'], 'help', { needs: ['a'] }),
      undone('d', ['work'], 'work', { needs: ['b', 'c'] }),
      stage('e', ['broken'], { needs: ['d'] }),
    ],
    ends: FAILED,
  },
  'dead-letter': {
    weight: 4,
    stages: [
      undone('one', ['work'], 'work'),
      undone('two', ['stuck'], 'stuck'),
      undone('three', ['more'], 'more'),
      stage('four', ['broken']),
    ],
    ends: FAILED,
    letters: ['two'],
  },
  approved: {
    weight: 5,
    stages: [stage('one', ['work']), stage('two', ['work'], { approval_required: true })],
    wish: 'approve',
    ends: DONE,
  },
  rejected: {
    weight: 4,
    stages: [
      undone('one', ['work'], 'work'),
      undone('two', ['more'], 'more'),
      stage('three', ['work'], { approval_required: true }),
    ],
    wish: 'reject',
    ends: FAILED,
  },
  timed: {
    weight: 3,
    stages: [
      undone('one', ['leased'], 'leased'),
      undone('two', ['leased'], 'work', { timeout: 0.4 }),
      undone('three', ['work'], 'work'),
    ],
    // a stage that takes too long, as with an engine that was dead meanwhile, is taken back
    ends: ['completed', 'failed'],
  },
  cancelled: {
    weight: 5,
    stages: ['one', 'two', 'three', 'four'].map((name) => undone(name, ['work'], 'work')),
    wish: 'cancel',
    ends: ['completed', 'cancelled'],
  },
};

const COMMAND_SHAPES: typeof SHAPES = {
  'command-sequence': {
    weight: 1.2,
    stages: [stage('one', ['command']), stage('two', ['hiding']), stage('three', ['slow'])],
    ends: DONE,
  },
  'command-parallel': {
    weight: 0.5,
    stages: [stage('one', ['command']), stage('two', ['command', 'slow', 'hiding'], { parallel: true })],
    ends: DONE,
  },
  'command-saga': {
    weight: 1,
    stages: [
      undone('one', ['command'], 'slow'),
      undone('two', ['slow', 'hiding'], 'command', { parallel: true }),
      undone('three', ['command'], 'hiding'),
      stage('four', ['failing']),
    ],
    ends: FAILED,
  },
  'command-cancelled': {
    weight: 0.3,
    stages: ['one', 'two', 'three', 'four'].map((name) => undone(name, ['slow'], 'command')),
    wish: 'cancel',
    ends: ['completed', 'cancelled'],
  },
};

function workloadsOf(shapes: typeof SHAPES, isCommand: boolean): Workload[] {
  return Object.entries(shapes).map(([name, { wish = null, letters = [], ...rest }]) => ({
    name,
    isCommand,
    wish,
    letters,
    ...rest,
  }));
}

export const WORKLOADS: readonly Workload[] = [
  ...workloadsOf(SHAPES, false),
  ...workloadsOf(COMMAND_SHAPES, true),
];

/** Roles of the commands, with their arguments: seconds of work, and how it ends. */
export const COMMANDS: Readonly<Record<string, readonly [string, string]>> = {
  command: ['0', 'well'],
  slow: ['0.3', 'well'],
  hiding: ['0.02', 'hiding'],
  failing: ['0', 'badly'],
};

export function idOf(number: number): string {
  return `i${String(number).padStart(6, '0')}`;
}

export function numberOf(id: string): number {
  return Number(id.slice(1));
}

/** What the instance of this number runs; always the same for a seed. */
export function workloadOf(seed: string, id: string): Workload {
  return new Chance(seed, id).weighed(WORKLOADS);
}

/** Larger than what travels inside of a reference, now and then. */
export function contentOf(key: string): string {
  const size = new Chance('content', key).happens(0.03) ? 9_000 : 120;
  return `${key} `.repeat(Math.ceil(size / (key.length + 1)));
}
