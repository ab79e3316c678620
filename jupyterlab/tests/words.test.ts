import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  STEPS,
  ago,
  bytes,
  canBeCancelled,
  cellProgress,
  describeFailure,
  describeState,
  failedInNotebook,
  hasEnded
} from '../src/models/words';
import type { JobState } from '../src/models/wire';
import { event, job } from './samples';

const exit = { succeeded: false, cells_run: 1, cells_total: 4 };

test('a failing cell is told by its number, line and class', () => {
  const failed = job({
    state: 'failed',
    exit: { ...exit, cause: 'cell_error', cell: 2, line: 7, exception_class: 'KeyError' }
  });
  assert.equal(describeFailure(failed), 'Cell 2, line 7 raised KeyError.');
  assert.ok(failedInNotebook(failed));
});

test('a dead kernel is no error of a cell', () => {
  const died = job({ state: 'failed', exit: { ...exit, cause: 'kernel_died', cell: 1 } });
  assert.match(describeFailure(died), /^The notebook’s kernel died\..* It was in cell 1\.$/);
});

test('a failed check is named, and is no failure of the notebook', () => {
  const checked = job({
    state: 'failed',
    exit: { ...exit, cause: 'output_policy', check: 'row_like_text' }
  });
  assert.match(describeFailure(checked), /output check\. Check: row like text\.$/);
  assert.ok(!failedInNotebook(checked));
});

test('a job that is well has no failure, and an unknown cause is still told', () => {
  assert.equal(describeFailure(job({ state: 'released' })), '');
  assert.equal(describeFailure(job({ state: 'failed', cause: 'new_cause' })), 'Cause: new cause.');
  assert.equal(describeFailure(job({ state: 'rejected' })), 'Rejected.');
});

test('every state belongs to a step, has ended, or is on its way to an end', () => {
  const states: JobState[] = [
    'created', 'checking', 'awaiting_approval', 'approved', 'building', 'built', 'launching',
    'attesting', 'running', 'output_check', 'awaiting_release', 'released', 'rejected',
    'failing', 'failed', 'cancelling', 'cancelled'
  ];
  for (const state of states) {
    const inStep = STEPS.some(step => step.states.includes(state));
    assert.ok(inStep || hasEnded(state) || ['failing', 'cancelling'].includes(state), state);
    assert.equal(canBeCancelled(state), inStep, state);
    assert.notEqual(describeState(state).label, '');
  }
});

test('a state of a later service is shown by its name', () => {
  assert.deepEqual(describeState('being_polished'), { label: 'being polished', tone: 'quiet' });
});

test('progress counts finished cells', () => {
  const at = (cell: number, state: 'started' | 'finished') =>
    event(cell, {
      kind: 'progress',
      progress: { seq: 1, phase: 'running', cell, cells_total: 5, cell_state: state }
    });
  assert.equal(cellProgress([event(1)]), null);
  assert.deepEqual(cellProgress([at(2, 'started')]), { cell: 2, total: 5, finished: 1 });
  assert.deepEqual(cellProgress([at(2, 'finished')]), { cell: 2, total: 5, finished: 2 });
});

test('times and sizes are told as people tell them', () => {
  const now = Date.parse('2026-01-02T00:00:00Z');
  assert.equal(ago('2026-01-01T23:59:50Z', now), 'just now');
  assert.equal(ago('2026-01-01T23:57:00Z', now), '3 minutes ago');
  assert.equal(ago('2026-01-01T00:00:00Z', now), 'yesterday');
  assert.equal(bytes(999), '999 B');
  assert.equal(bytes(1500), '1.5 kB');
  assert.equal(bytes(21_000_000), '21 MB');
});
