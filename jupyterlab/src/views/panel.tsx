import * as React from 'react';
import type { RoomModel } from '../models/room';
import type { Job } from '../models/wire';
import { countLive } from '../models/room';
import { Catalogue } from './catalogue';
import { useRoom } from './hooks';
import { JobList } from './jobList';
import { Busy, SimulatedBand, Tabs } from './parts';

export interface PanelProps {
  room: RoomModel;
  /** File name of the notebook in front, or ''. */
  notebook: string;
  onSubmit: () => void;
  onOpen: (job: Job) => void;
  onInsert: (code: string) => void;
}

/** The side panel: who one is, the jobs, the data sets. */
export function Panel(props: PanelProps): JSX.Element {
  const room = useRoom(props.room);
  const [tab, setTab] = React.useState('jobs');
  const live = countLive(room.jobs);
  return (
    <section className="mnt-panel" aria-label="Clean room">
      <header className="mnt-panel-head">
        <h2>Clean room</h2>
        <ConnectionSign room={room} />
      </header>
      {room.info?.simulated && <SimulatedBand />}
      {room.problem && (
        <div className="mnt-alert" role="alert">
          {room.problem}
        </div>
      )}
      <button
        type="button"
        className="mnt-button mnt-primary mnt-wide"
        disabled={!props.notebook}
        title={props.notebook ? '' : 'Open a notebook first'}
        onClick={props.onSubmit}
      >
        {props.notebook ? `Submit ${props.notebook}` : 'Open a notebook to submit it'}
      </button>
      <Tabs
        name="Panel"
        tabs={[
          { id: 'jobs', label: live ? `Jobs (${live} open)` : 'Jobs' },
          { id: 'data', label: 'Data sets' }
        ]}
        current={tab}
        onChoose={setTab}
      />
      <div className="mnt-panel-body" role="tabpanel" aria-label={tab === 'jobs' ? 'Jobs' : 'Data'}>
        {!room.loaded && !room.problem && <Busy what="Loading" />}
        {tab === 'jobs' && <JobList room={room} onOpen={props.onOpen} />}
        {tab === 'data' && <Catalogue room={room} onInsert={props.onInsert} />}
      </div>
    </section>
  );
}

function ConnectionSign({ room }: { room: RoomModel }): JSX.Element {
  const broken = room.connection === 'reconnecting';
  const word = broken ? 'Reconnecting…' : (room.info?.person ?? '');
  return (
    <span
      className={`mnt-connection mnt-connection-${room.connection}`}
      role="status"
      title={room.info ? `${room.info.person} at ${room.info.service}` : ''}
    >
      {word}
    </span>
  );
}
