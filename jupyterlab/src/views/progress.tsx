import * as React from 'react';
import {
  STEPS,
  cellProgress,
  describeFailure,
  describeState,
  failedInNotebook,
  hasEnded
} from '../models/words';
import type { Job, JobEvent } from '../models/wire';

interface Props {
  job: Job;
  events: readonly JobEvent[];
  /** Shows a code cell of the notebook, by its number from 1. */
  onCell: (cell: number) => void;
}

/** The steps of a run with the one it is at, and live cells while the notebook runs. */
export function ProgressView({ job, events, onCell }: Props): JSX.Element {
  const failure = describeFailure(job);
  const cell = job.exit && !job.exit.succeeded ? (job.exit.cell ?? null) : null;
  const cells = cellProgress(events);
  const reached = furthest(job, events);
  const times = startTimes(events);
  return (
    <div className="mnt-progress">
      {failure && (
        <div className="mnt-alert" role="alert">
          <p>
            <strong>{describeState(job.state).label}.</strong> {failure}
          </p>
          {job.message && job.message !== failure && <p className="mnt-quiet">{job.message}</p>}
          {cell !== null && (
            <button type="button" className="mnt-button" onClick={() => onCell(cell)}>
              Go to cell {cell}
            </button>
          )}
        </div>
      )}
      <ol className="mnt-steps" aria-label="Steps of the run">
        {STEPS.map((step, index) => {
          const state = stateOf(index, reached, job);
          return (
            <li key={step.title} className={`mnt-step mnt-step-${state}`} aria-current={
              state === 'now' ? 'step' : undefined
            }>
              <span className="mnt-step-sign" aria-hidden="true">
                {state === 'done' ? '✓' : state === 'bad' ? '✗' : ''}
              </span>
              <span className="mnt-step-title">{step.title}</span>
              <span className="mnt-quiet">{times[index] ?? ''}</span>
              {step.states[0] === 'running' && cells && reached >= index && (
                <Cells cells={cells} live={state === 'now'} />
              )}
            </li>
          );
        })}
      </ol>
    </div>
  );
}

function Cells(props: {
  cells: { cell: number; total: number; finished: number };
  live: boolean;
}): JSX.Element {
  const { cell, total, finished } = props.cells;
  return (
    <div className="mnt-cells">
      <div
        className="mnt-bar"
        role="progressbar"
        aria-label="Cells run"
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={finished}
      >
        <span style={{ width: `${(100 * finished) / total}%` }} />
      </div>
      <span aria-live="polite">
        {props.live ? `Cell ${cell} of ${total}` : `${finished} of ${total} cells`}
      </span>
    </div>
  );
}

/** Index of the step the job came to, or failed in; all steps for a released one. */
function furthest(job: Job, events: readonly JobEvent[]): number {
  if (job.state === 'released') {
    return STEPS.length;
  }
  if (failedInNotebook(job)) {
    return STEPS.findIndex(step => step.states.includes('running'));
  }
  const states = [...events.map(event => event.state), job.state];
  return Math.max(
    0,
    ...states.map(state => STEPS.findIndex(step => step.states.includes(state)))
  );
}

function stateOf(index: number, reached: number, job: Job): 'done' | 'now' | 'bad' | 'later' {
  if (index < reached) {
    return 'done';
  }
  if (index > reached) {
    return 'later';
  }
  if (describeState(job.state).tone === 'bad') {
    return 'bad';
  }
  return hasEnded(job.state) ? 'later' : 'now';
}

/** When each step began, as a time of day. */
function startTimes(events: readonly JobEvent[]): Record<number, string> {
  const times: Record<number, string> = {};
  for (const event of events) {
    const index = STEPS.findIndex(step => step.states.includes(event.state));
    if (index >= 0 && !(index in times)) {
      times[index] = new Date(event.at).toLocaleTimeString();
    }
  }
  return times;
}
