/** Words and tones for what the service says by codes. */
import type { Job, JobEvent, JobState } from './wire';

/** How a state is coloured: `wait` asks for a person, `live` moves, the rest has ended. */
export type Tone = 'live' | 'wait' | 'good' | 'bad' | 'quiet';

interface StateWords {
  label: string;
  tone: Tone;
}

const STATES: Record<JobState, StateWords> = {
  created: { label: 'Submitted', tone: 'live' },
  checking: { label: 'Being checked', tone: 'live' },
  awaiting_approval: { label: 'Waits for approval', tone: 'wait' },
  approved: { label: 'Approved', tone: 'live' },
  building: { label: 'Being built', tone: 'live' },
  built: { label: 'Built', tone: 'live' },
  launching: { label: 'Starting', tone: 'live' },
  attesting: { label: 'Attesting', tone: 'live' },
  running: { label: 'Running', tone: 'live' },
  output_check: { label: 'Outputs are checked', tone: 'live' },
  awaiting_release: { label: 'Waits for release', tone: 'wait' },
  released: { label: 'Released', tone: 'good' },
  rejected: { label: 'Rejected', tone: 'bad' },
  failing: { label: 'Failing', tone: 'bad' },
  failed: { label: 'Failed', tone: 'bad' },
  cancelling: { label: 'Being cancelled', tone: 'live' },
  cancelled: { label: 'Cancelled', tone: 'quiet' }
};

/** The steps of a run as a person follows them, and the states that belong to each. */
export const STEPS: readonly { title: string; states: readonly JobState[] }[] = [
  { title: 'Submitted', states: ['created', 'checking'] },
  { title: 'Approval by the data providers', states: ['awaiting_approval', 'approved'] },
  { title: 'Guest starts', states: ['building', 'built', 'launching'] },
  { title: 'Guest attests itself and gets the data key', states: ['attesting'] },
  { title: 'Notebook runs on the private table', states: ['running'] },
  { title: 'Outputs are checked', states: ['output_check'] },
  { title: 'Release by the output reviewer', states: ['awaiting_release'] }
];

const ENDED: ReadonlySet<JobState> = new Set<JobState>([
  'released',
  'rejected',
  'failed',
  'cancelled'
]);

export function describeState(state: string): StateWords {
  return STATES[state as JobState] ?? { label: state.replace(/_/g, ' '), tone: 'quiet' };
}

export function hasEnded(state: JobState): boolean {
  return ENDED.has(state);
}

export function canBeCancelled(state: JobState): boolean {
  return !ENDED.has(state) && state !== 'failing' && state !== 'cancelling';
}

/** The service's causes, each as a plain sentence naming it. */
const CAUSES: Record<string, string> = {
  cell_error: 'A cell raised an error.',
  kernel_died: 'The notebook’s kernel died. Most often it asked for more memory than it may have.',
  memory: 'The notebook used more memory than its resource class allows.',
  cpu_time: 'The notebook used more processor time than its resource class allows.',
  time: 'The notebook ran longer than its resource class allows.',
  disk: 'The notebook wrote more to disk than its resource class allows.',
  processes: 'The notebook started more processes than its resource class allows.',
  output_policy: 'The outputs did not pass the output check.',
  output_size: 'The outputs are larger than the output policy allows.',
  workspace: 'The code that arrived in the guest is not the code that was submitted.',
  data: 'The data that arrived in the guest are not those that were approved.',
  key_denied: 'A key broker refused the data key.',
  attestation: 'The guest could not attest itself.',
  broker: 'A key broker could not be reached.',
  guest_lost: 'The guest was lost.',
  backend: 'The machine could not run the guest.',
  cancelled: 'It was cancelled.',
  checks: 'The service’s checks refused it.',
  review: 'A person said no.',
  internal: 'The service failed; the operator can see why.'
};

/** Why a job has no released output, as one sentence; '' for jobs that are well. */
export function describeFailure(job: Job): string {
  const tone = describeState(job.state).tone;
  if (tone !== 'bad') {
    return '';
  }
  const exit = job.exit;
  const cause = exit?.cause ?? job.cause ?? '';
  const line = exit?.line ? `, line ${exit.line}` : '';
  if (exit?.cell && (cause === 'cell_error' || (!cause && exit.exception_class))) {
    return `Cell ${exit.cell}${line} raised ${exit.exception_class || 'an error'}.`;
  }
  const check = exit?.check ? ` Check: ${exit.check.replace(/_/g, ' ')}.` : '';
  const said = CAUSES[cause] ?? (cause ? `Cause: ${cause.replace(/_/g, ' ')}.` : '');
  const where = said && exit?.cell ? ` It was in cell ${exit.cell}${line}.` : '';
  return `${said}${where}${check}`.trim() || job.message || `${describeState(job.state).label}.`;
}

const OF_THE_NOTEBOOK: ReadonlySet<string> = new Set([
  'cell_error',
  'kernel_died',
  'memory',
  'cpu_time',
  'time',
  'disk',
  'processes'
]);

/** Whether the notebook itself failed: the outputs of such a run are checked all the same. */
export function failedInNotebook(job: Job): boolean {
  return job.exit?.succeeded === false && OF_THE_NOTEBOOK.has(job.exit.cause ?? '');
}

/** Where a running notebook is, from the events seen so far. */
export interface CellProgress {
  cell: number;
  total: number;
  finished: number;
}

export function cellProgress(events: readonly JobEvent[]): CellProgress | null {
  let found: CellProgress | null = null;
  for (const { progress } of events) {
    if (progress?.cell && progress.cells_total) {
      const finished = progress.cell_state === 'finished' ? progress.cell : progress.cell - 1;
      found = { cell: progress.cell, total: progress.cells_total, finished };
    }
  }
  return found;
}

/** The name of a notebook's file, without its folders. */
export function fileName(path: string): string {
  return path.split('/').pop() || path;
}

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60]
];

/** "3 minutes ago", from two moments. */
export function ago(moment: string, now: number): string {
  const seconds = Math.round((now - Date.parse(moment)) / 1000);
  const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  for (const [unit, size] of UNITS) {
    if (seconds >= size) {
      return words.format(-Math.floor(seconds / size), unit);
    }
  }
  return 'just now';
}

/** Bytes as a person reads them. */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
