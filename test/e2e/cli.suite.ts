/** What every command does, whether it works on a store or over a server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CliPipeline, lastOf } from './cli-pipeline.js';

export function describeCommands(current: () => CliPipeline): void {
  const cli: Pick<CliPipeline, 'run' | 'runWith' | 'write' | 'remove' | 'directory'> = {
    run: (...args) => current().run(...args),
    runWith: (more, ...args) => current().runWith(more, ...args),
    write: (name, content) => current().write(name, content),
    remove: (name) => current().remove(name),
    get directory() {
      return current().directory;
    },
  };

  it('agents lists who carries tasks out', () => {
    const [shown] = cli.run('agents', '--json').json();
    expect(shown).toMatchObject({
      agents: [{ in_flight: 0, is_remote: false, version: null, seen_at: null }],
    });
    expect(cli.run('agents').stdout).toMatch(/^AGENT +ROLES +IN FLIGHT +SCORE +SEEN/);
  });

  describe('run', () => {
    it('exits 0 on completion and prints events and the result as JSON lines only', () => {
      const ran = cli.run(
        'run',
        'good',
        '--id',
        'good-1',
        '--input',
        '{"n": 1}',
        '--label',
        'env=prod',
        '--json',
      );
      expect(ran.exit, ran.stderr).toBe(0);
      const lines = ran.json();
      const events = lines.slice(0, -1);
      expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
      for (const event of events) {
        expect(Object.keys(event).slice(0, 4)).toEqual(['seq', 'type', 'at', 'workflow_id']);
        expect(event.workflow_id).toBe('good-1');
        expect(new Date(String(event.at)).toISOString()).toBe(event.at);
      }
      expect(events.at(0)?.type).toBe('workflow_created');
      expect(events.at(-1)?.type).toBe('workflow_completed');
      expect(Object.keys(lastOf(ran))).toEqual([
        'type',
        'workflow_id',
        'state',
        'stages',
        'artifacts',
        'compensation',
        'error',
      ]);
      expect(lastOf(ran)).toMatchObject({
        type: 'result',
        workflow_id: 'good-1',
        state: 'completed',
        stages: [
          { name: 'a', state: 'completed', compensation: 'none' },
          { name: 'b', state: 'completed', compensation: 'none' },
        ],
        compensation: null,
        error: null,
      });
    });

    it('starts the same id once, and refuses it for another input', () => {
      const again = cli.run('run', 'good', '--id', 'good-1', '--input', '{"n": 1}', '--json');
      expect(again.exit, again.stderr).toBe(0);
      expect(again.json().filter((line) => line.type === 'workflow_created')).toHaveLength(1);
      const other = cli.run('run', 'good', '--id', 'good-1', '--input', '{"n": 2}', '--json');
      expect(other.exit).toBe(2);
      expect(lastOf(other)).toMatchObject({ type: 'error', code: 'instance_exists' });
      expect(other.stderr).toMatch(/^error\[instance_exists\]: /m);
    });

    it('exits 1 when the instance failed, after it was taken back', () => {
      const ran = cli.run('run', 'bad', '--id', 'bad-1');
      expect(ran.exit, ran.stderr).toBe(1);
      expect(ran.stdout).toContain('bad bad-1 failed at b');
      expect(ran.stdout).toContain('1 stage taken back, 0 dead letters');
      expect(ran.stdout).toContain('vapora retry bad-1');
      // colours are for terminals
      expect(ran.stdout).not.toContain('\u001b');
    });

    it('exits 3 when a policy blocks it, and `show` names the policy', () => {
      expect(cli.run('run', 'denied', '--id', 'denied-1').exit).toBe(3);
      const shown = cli.run('show', 'denied-1');
      expect(shown.exit).toBe(0);
      expect(shown.stdout).toContain('no-forbidden-stage');
      expect(cli.run('resume', 'denied-1').exit).toBe(3);
      const cancelled = cli.run('cancel', 'denied-1', '--json');
      expect(cancelled.exit).toBe(0);
      expect(lastOf(cancelled)).toMatchObject({ state: 'cancelled', compensation: { order: ['a'] } });
    });

    it('approves what --approve names, and exits 4 at what it does not', () => {
      expect(cli.run('run', 'gate', '--id', 'gate-1', '--approve', 'b').exit).toBe(4);
      expect(cli.run('run', 'gate', '--id', 'gate-2', '--approve', 'all').exit).toBe(0);
      const refused = cli.run('run', 'gate', '--id', 'gate-3', '--approve', 'all', '--initiator', 'mallory');
      expect(refused.exit).toBe(4);
      expect(refused.stdout).toContain('stage `b` is not approved');
    });

    it('reads its input from stdin and from a file', () => {
      cli.write('input.json', '{"ms": 1}');
      expect(cli.run('run', 'slow', '--input', 'input.json').exit).toBe(0);
      expect(cli.runWith({ input: '{"ms": 1}' }, 'run', 'slow', '--input', '-').exit).toBe(0);
    });
  });

  describe('decisions of people', () => {
    it('exit by how the instance comes to rest', () => {
      expect(cli.run('approve', 'gate-1', 'b').exit).toBe(2);
      const denied = cli.run('approve', 'gate-1', 'c', '--by', 'mallory', '--json');
      expect(denied.exit).toBe(3);
      expect(lastOf(denied)).toMatchObject({ code: 'unauthorized' });
      const back = cli.run('rollback', 'gate-1', '--to', 'a', '--json');
      expect(back.exit, back.stderr).toBe(4);
      expect(back.json().some((line) => line.type === 'rollback_completed')).toBe(true);
      const preview = cli.run('rollback', 'gate-1', '--preview', '--json');
      expect(preview.exit).toBe(0);
      expect(preview.json()).toMatchObject([
        { workflow_id: 'gate-1', entries: [{ stage: 'a', skip: null }] },
      ]);
      const rejected = cli.run('reject', 'gate-1', 'b', '--reason', 'no', '--json');
      expect(rejected.exit, rejected.stderr).toBe(0);
      expect(lastOf(rejected)).toMatchObject({ state: 'failed', error: { code: 'approval_rejected' } });
      const whole = cli.run('rollback', 'gate-3');
      expect(whole.exit).toBe(0);
    });

    it('retry an ended instance in a successor, all of whose events are shown', () => {
      const retried = cli.run('retry', 'bad-1', '--json');
      expect(retried.exit).toBe(1);
      expect(retried.json()[0]).toMatchObject({ seq: 1, type: 'workflow_created', retry_of: 'bad-1' });
    });

    it('are kept apart from the terminal: control characters come out escaped', () => {
      const hostile = '\u001b]0;owned\u0007\u001b[2J\u202e';
      expect(cli.run('run', 'gate', '--id', 'gate-4', '--label', `x=${hostile}`).exit).toBe(4);
      expect(cli.run('approve', 'gate-4', 'b', '--comment', hostile).exit).toBe(4);
      for (const args of [['show', 'gate-4'], ['history', 'gate-4'], ['list']]) {
        const { stdout } = cli.run(...args);
        expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      }
      expect(cli.run('show', 'gate-4').stdout).toContain('\\u{001b}]0;owned');
    });
  });

  describe('dead letters', () => {
    it('are listed, retried and resolved', () => {
      cli.write('undo-is-broken', '');
      const ran = cli.run('run', 'lost', '--id', 'lost-1');
      expect(ran.exit).toBe(1);
      expect(ran.stdout).toContain('0 stages taken back, 1 dead letter');
      expect(cli.run('dead-letters', '--json').json()).toMatchObject([
        { dead_letters: [{ id: 'lost-1/a', workflow_id: 'lost-1', stage: 'a' }] },
      ]);
      expect(cli.run('dead-letters', 'retry', 'lost-1/a').exit).toBe(1);
      cli.remove('undo-is-broken');
      expect(cli.run('dead-letters', 'retry', 'lost-1/a').exit).toBe(0);
      expect(cli.run('dead-letters', 'resolve', 'lost-1/a', '--reason', 'x').exit).toBe(2);
      cli.write('undo-is-broken', '');
      expect(cli.run('run', 'lost', '--id', 'lost-2').exit).toBe(1);
      cli.remove('undo-is-broken');
      expect(cli.run('dead-letters', 'resolve', 'lost-2/a', '--reason', 'by hand').exit).toBe(0);
      expect(cli.run('dead-letters').stdout).toContain('no dead letters');
      const near = cli.run('dead-letters', 'retry', 'lost-9/a');
      expect(near.exit).toBe(2);
    });
  });

  describe('reading', () => {
    it('lists page by page, by state and label', () => {
      const first = cli.run('list', '--limit', '1', '--json').json()[0];
      expect(first?.instances).toHaveLength(1);
      const second = cli.run('list', '--limit', '1', '--cursor', String(first?.next), '--json').json()[0];
      expect(second?.instances).not.toEqual(first?.instances);
      const labelled = cli.run('list', '--label', 'env=prod', '--state', 'completed', '--json').json()[0];
      expect(labelled?.instances).toMatchObject([{ workflow_id: 'good-1', labels: { env: 'prod' } }]);
    });

    it('prints artifacts raw, or writes them whole', () => {
      expect(cli.run('artifacts', 'good-1', 'note').stdout).toBe('made by b');
      expect(cli.run('artifacts', 'good-1', 'a/note').stdout).toBe('made by a');
      expect(cli.run('artifacts', 'good-1', 'note', '--output', 'note.txt').exit).toBe(0);
      expect(readFileSync(join(cli.directory, 'note.txt'), 'utf8')).toBe('made by b');
      expect(cli.run('artifacts', 'good-1', 'note', '--output', 'policies').exit).toBe(2);
      expect(cli.run('artifacts', 'good-1', 'not').stderr).toContain('did you mean `note`?');
    });

    it('verifies and exports the audit chain', () => {
      const all = cli.run('audit', 'verify', '--all', '--json');
      expect(all.exit, all.stderr).toBe(0);
      expect(all.json().every((line) => line.ok === true)).toBe(true);
      const entries = cli.run('audit', 'export', 'good-1').json();
      expect(entries.slice(1).map((entry) => entry.previous)).toEqual(
        entries.slice(0, -1).map((entry) => entry.hash),
      );
    });
  });
}
