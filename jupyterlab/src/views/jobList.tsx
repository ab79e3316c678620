import * as React from 'react';
import type { RoomModel } from '../models/room';
import { ago, cellProgress, describeState, fileName } from '../models/words';
import type { Job } from '../models/wire';
import { useNow } from './hooks';
import { Empty, StatePill } from './parts';

interface Props {
  room: RoomModel;
  onOpen: (job: Job) => void;
}

/** Jobs, newest first; the next page is loaded when the end of the list comes into sight. */
export function JobList({ room, onOpen }: Props): JSX.Element {
  const now = useNow();
  const end = React.useRef<HTMLDivElement>(null);
  const more = room.hasMore;
  React.useEffect(() => {
    const mark = end.current;
    if (!mark || !more) {
      return;
    }
    const watch = new IntersectionObserver(
      seen => seen.some(entry => entry.isIntersecting) && void room.loadMore().catch(() => null),
      { rootMargin: '200px' }
    );
    watch.observe(mark);
    return () => watch.disconnect();
  }, [room, more, room.jobs.length]);

  if (room.loaded && !room.jobs.length) {
    return (
      <Empty title="No jobs yet">
        Open a notebook and press the shield in its toolbar: it will run once on the private
        tables, and you get back what the providers allow.
      </Empty>
    );
  }
  return (
    <>
      <ul className="mnt-jobs" aria-label="Jobs, newest first">
        {room.jobs.map(job => (
          <li key={job.id}>
            <JobRow job={job} now={now} progress={doing(room, job)} onOpen={onOpen} />
          </li>
        ))}
      </ul>
      <div ref={end} className="mnt-end">
        {more && (
          <button type="button" className="mnt-link" onClick={() => void room.loadMore()}>
            Show older jobs
          </button>
        )}
      </div>
    </>
  );
}

function doing(room: RoomModel, job: Job): string {
  const at = job.state === 'running' ? cellProgress(room.events(job.id)) : null;
  return at ? `cell ${at.cell} of ${at.total}` : '';
}

interface RowProps {
  job: Job;
  now: number;
  progress: string;
  onOpen: (job: Job) => void;
}

const JobRow = React.memo(function JobRow(props: RowProps): JSX.Element {
  const { job, now, progress, onOpen } = props;
  const { tone } = describeState(job.state);
  return (
    <button
      type="button"
      className={`mnt-job mnt-tone-${tone}`}
      data-job={job.id}
      onClick={() => onOpen(job)}
    >
      <span className="mnt-job-top">
        <span className="mnt-job-name">{fileName(job.manifest.entry_notebook)}</span>
        <StatePill state={job.state} />
      </span>
      <span className="mnt-job-purpose">{job.manifest.purpose}</span>
      <span className="mnt-quiet">
        {progress || `${job.manifest.datasets.map(use => use.name).join(', ')}`} ·{' '}
        {ago(job.created_at, now)}
      </span>
    </button>
  );
});
