/**
 * What the server extension answers, field by field.
 *
 * `tests/e2e/test_wire.py` holds these interfaces to what a real server extension sends.
 */

export type Scalar = string | number | boolean;

/** The states of a job, as in the service's state machine. */
export type JobState =
  | 'created'
  | 'checking'
  | 'awaiting_approval'
  | 'approved'
  | 'building'
  | 'built'
  | 'launching'
  | 'attesting'
  | 'running'
  | 'output_check'
  | 'awaiting_release'
  | 'released'
  | 'rejected'
  | 'failing'
  | 'failed'
  | 'cancelling'
  | 'cancelled';

export interface DatasetUse {
  name: string;
  version: string;
}

export interface JobManifest {
  project: string;
  researcher: string;
  purpose: string;
  submission: number;
  runtime_digest: string;
  workspace_digest: string;
  entry_notebook: string;
  parameters: Record<string, Scalar>;
  datasets: DatasetUse[];
  declared_outputs: string[];
  resource_class: string;
  backend_kind: string;
}

/** How the guest said a run ended. Holds no text the notebook chose. */
export interface ExitStatus {
  succeeded: boolean;
  cells_run: number;
  cells_total: number;
  cause?: string | null;
  cell?: number | null;
  line?: number | null;
  exception_class?: string | null;
  check?: string | null;
}

export interface Job {
  id: string;
  job_digest: string;
  manifest: JobManifest;
  providers: string[];
  state: JobState;
  version: number;
  attempt: number;
  exit?: ExitStatus | null;
  cause?: string | null;
  reason_code: string;
  message: string;
  created_at: string;
  updated_at: string;
}

export interface JobPage {
  jobs: Job[];
  next_cursor: number | null;
}

export interface Progress {
  seq: number;
  phase: string;
  cell?: number | null;
  cells_total?: number | null;
  cell_state?: 'started' | 'finished' | null;
}

export interface JobEvent {
  seq: number;
  at: string;
  kind: 'state' | 'progress';
  state: JobState;
  cause?: string | null;
  message: string;
  progress?: Progress | null;
}

/** One line of the live stream. A line of kind `alive` says only that the line is open. */
export type LiveLine =
  | { kind: 'alive' }
  | { kind: 'job'; job: Job }
  | { kind: 'event'; job_id: string; event: JobEvent };

/** Whom this JupyterLab speaks for, and to which service. */
export interface RoomInfo {
  person: string;
  service: string;
  /** Whether jobs run in a simulated TEE: whatever they prove is not proof. */
  simulated: boolean;
  /** Classes of resources a job may ask for. */
  resource_classes: string[];
  /** Projects the person may submit to; empty: not known, ask. */
  projects: string[];
}

export interface Column {
  name: string;
  type: string;
  description: string;
}

/** A data set of the catalogue, as a person chooses one. */
export interface Dataset {
  name: string;
  version: string;
  provider: string;
  label: string;
  columns: Column[];
  privacy: string[];
  /** Rows of the twin, never of the private table; one list per row. */
  sample: Scalar[][];
  /** Code that loads it in a notebook. */
  snippet: string;
  has_report: boolean;
}

export type Severity = 'error' | 'warning' | 'hint';

/** One thing that pre-flight found in a notebook. */
export interface Finding {
  severity: Severity;
  code: string;
  /** Number of the code cell, from 1; null: the notebook as a whole. */
  cell: number | null;
  line: number | null;
  message: string;
  advice: string;
}

/** What a notebook would be submitted with. */
export interface Preflight {
  findings: Finding[];
  /** Data sets the code names. */
  datasets: string[];
  parameters: Record<string, Scalar>;
  n_cells: number;
}

export interface SubmitRequest {
  notebook: string;
  purpose: string;
  project: string;
  datasets: string[];
  declared_outputs: string[];
  parameters: Record<string, Scalar>;
  resource_class: string;
  /** The job that this one changes, or null. */
  resubmits: string | null;
}

/** How a dress rehearsal on the twin went. */
export interface Rehearsal {
  succeeded: boolean;
  /** How it ended, in words. */
  words: string;
  /** Number of the failing code cell, from 1. */
  cell: number | null;
  seconds: number;
  files: string[];
}

export interface OutputFile {
  path: string;
  size: number;
  media_type: string;
  /** Whether it can be looked at in the viewer. */
  viewable: boolean;
}

export interface Outputs {
  job_id: string;
  /** The executed notebook among the files, or null. */
  notebook: string | null;
  files: OutputFile[];
}

export type Mark = 'passed' | 'failed' | 'not_applicable';

export interface Check {
  mark: Mark;
  title: string;
  reason: string;
}

/** What the verification of a run says, for people. */
export interface Attestation {
  job_id: string;
  headline: string;
  verified: boolean;
  /** Trust in the TEE: `simulated`, `software-tpm`, or a tier of hardware; '' if unknown. */
  tier: string;
  checks: Check[];
  /** The raw statement and evidence, as text. */
  details: string;
}

export interface DiffCell {
  number: number;
  source: string;
  changed: boolean;
  /** Outputs on the twin and on the private table, as text. */
  twin: string;
  real: string;
}

export interface Diff {
  job_id: string;
  cells: DiffCell[];
}

/** Where a job's notebook lies in JupyterLab's folder; null: not here. */
export interface Place {
  path: string | null;
}
