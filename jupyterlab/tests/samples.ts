import type { Attestation, Job, JobEvent, Preflight, RoomInfo } from '../src/models/wire';

export function job(changes: Partial<Job> = {}): Job {
  return {
    id: 'job-0000000000000001',
    job_digest: 'sha256:00',
    manifest: {
      project: 'charges',
      researcher: 'rosa',
      purpose: 'To learn.',
      submission: 1,
      runtime_digest: 'sha256:01',
      workspace_digest: 'sha256:02',
      entry_notebook: 'work/a.ipynb',
      parameters: { rows: 3 },
      datasets: [{ name: 'insurance', version: 'sha256:03' }],
      declared_outputs: ['a.json', 'b.png'],
      resource_class: 'small',
      backend_kind: 'sandbox'
    },
    providers: ['insurer'],
    state: 'running',
    version: 1,
    attempt: 1,
    reason_code: '',
    message: '',
    created_at: '2026-01-01T00:00:00Z',
    updated_at: '2026-01-01T00:00:00Z',
    ...changes
  };
}

export function event(seq: number, changes: Partial<JobEvent> = {}): JobEvent {
  return { seq, at: '2026-01-01T00:00:00Z', kind: 'state', state: 'running', message: '', ...changes };
}

export const info: RoomInfo = {
  person: 'rosa',
  service: 'http://127.0.0.1',
  simulated: true,
  resource_classes: ['small', 'large'],
  projects: ['charges']
};

export const preflight: Preflight = {
  findings: [],
  datasets: ['insurance'],
  parameters: { rows: 3, exact: false, name: 'x' },
  n_cells: 2
};

export function attestation(changes: Partial<Attestation> = {}): Attestation {
  return {
    job_id: 'job-0000000000000001',
    headline: 'VERIFIED, BUT SIMULATED: a simulated TEE is not hardware.',
    verified: true,
    tier: 'simulated',
    checks: [
      { mark: 'passed', title: 'Signed', reason: 'it is' },
      { mark: 'not_applicable', title: 'GPU', reason: 'there is none' }
    ],
    details: '',
    ...changes
  };
}
