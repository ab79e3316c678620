import * as React from 'react';
import type { RoomModel } from '../models/room';
import { canBeCancelled, fileName, hasEnded } from '../models/words';
import type { Job } from '../models/wire';
import { CompareView } from './compare';
import { useLoaded, useRoom } from './hooks';
import { OutputsView } from './outputs';
import { Busy, StatePill, SimulatedBand, Tabs, Trouble } from './parts';
import { ProgressView } from './progress';
import { ProofView } from './proof';

export interface JobPageProps {
  room: RoomModel;
  jobId: string;
  onCell: (job: Job, cell: number) => void;
  onResubmit: (job: Job) => void;
}

/** One job: what it is doing, and, once released, its outputs and its proof. */
export function JobPage(props: JobPageProps): JSX.Element {
  const room = useRoom(props.room);
  const { error } = useLoaded(() => room.loadJob(props.jobId), props.jobId);
  const job = room.job(props.jobId);
  if (error) {
    return <Trouble error={error} />;
  }
  return job ? <JobView {...props} room={room} job={job} /> : <Busy what="Loading" />;
}

function JobView(props: JobPageProps & { job: Job }): JSX.Element {
  const { room, job } = props;
  const [tab, setTab] = React.useState('progress');
  const released = job.state === 'released';
  const tabs = [
    { id: 'progress', label: 'Progress' },
    { id: 'outputs', label: 'Outputs', disabled: !released },
    { id: 'proof', label: 'Attestation', disabled: !released },
    { id: 'compare', label: 'Compare', disabled: !released },
    { id: 'about', label: 'Submission' }
  ];
  return (
    <article className="mnt-page" aria-label={`Job ${job.id}`}>
      {room.connection === 'reconnecting' && (
        <p className="mnt-reconnecting" role="status">
          Reconnecting… What you see may be out of date.
        </p>
      )}
      <header className="mnt-page-head">
        <div className="mnt-page-title">
          <h2>{fileName(job.manifest.entry_notebook)}</h2>
          <StatePill state={job.state} />
        </div>
        <p>{job.manifest.purpose}</p>
        <Actions {...props} />
      </header>
      {room.info?.simulated && tab !== 'proof' && <SimulatedBand />}
      <Tabs name="Job" tabs={tabs} current={tab} onChoose={setTab} />
      <div className="mnt-page-body" role="tabpanel" aria-label={tab}>
        {tab === 'progress' && (
          <ProgressView
            job={job}
            events={room.events(job.id)}
            onCell={cell => props.onCell(job, cell)}
          />
        )}
        {tab === 'outputs' && <OutputsView client={room.client} jobId={job.id} />}
        {tab === 'proof' && <ProofView client={room.client} jobId={job.id} />}
        {tab === 'compare' && <CompareView client={room.client} jobId={job.id} />}
        {tab === 'about' && <About job={job} />}
      </div>
    </article>
  );
}

function Actions(props: JobPageProps & { job: Job }): JSX.Element {
  const { room, job } = props;
  const [error, setError] = React.useState<unknown>(null);
  const [busy, setBusy] = React.useState(false);
  const cancel = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      room.take(await room.client.cancel(job.id));
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <div className="mnt-row">
        {canBeCancelled(job.state) && (
          <button
            type="button"
            className="mnt-button mnt-danger"
            disabled={busy}
            onClick={() => void cancel()}
          >
            Cancel the job
          </button>
        )}
        {hasEnded(job.state) && (
          <button type="button" className="mnt-button" onClick={() => props.onResubmit(job)}>
            Submit again with changes
          </button>
        )}
        {job.state === 'released' && (
          <a className="mnt-button" href={room.client.bundleUrl(job.id)} download>
            Download the run bundle
          </a>
        )}
      </div>
      <Trouble error={error} />
    </>
  );
}

function About({ job }: { job: Job }): JSX.Element {
  const manifest = job.manifest;
  const parameters = Object.entries(manifest.parameters ?? {});
  const rows: [string, React.ReactNode][] = [
    ['Job', <code key="id">{job.id}</code>],
    ['Project', manifest.project],
    ['Submitted by', manifest.researcher],
    ['Data providers who must approve', job.providers.join(', ')],
    ['Data sets', manifest.datasets.map(use => use.name).join(', ')],
    ['Declared outputs', (manifest.declared_outputs ?? []).join(', ') || 'the notebook alone'],
    [
      'Parameters',
      parameters.map(([name, value]) => `${name} = ${value}`).join(', ') || 'as in the notebook'
    ],
    ['Resources', manifest.resource_class],
    ['Runs in', manifest.backend_kind],
    ['Job digest', <code key="digest">{job.job_digest}</code>],
    ['Code', <code key="code">{manifest.workspace_digest}</code>],
    ['Runtime', <code key="runtime">{manifest.runtime_digest}</code>]
  ];
  return (
    <dl className="mnt-facts">
      {rows.map(([name, value]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}
