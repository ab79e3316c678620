import * as React from 'react';
import type { CleanRoomClient } from '../service/client';
import type { DiffCell } from '../models/wire';
import { useLoaded } from './hooks';
import { Busy, Empty, Trouble } from './parts';

/** The same notebook twice: what it said on the twin, and what on the private table. */
export function CompareView(props: { client: CleanRoomClient; jobId: string }): JSX.Element {
  const { value, error } = useLoaded(() => props.client.diff(props.jobId), props.jobId);
  const [all, setAll] = React.useState(false);
  if (error) {
    return <Trouble error={error} />;
  }
  if (!value) {
    return <Busy what="Comparing" />;
  }
  const changed = value.cells.filter(cell => cell.changed);
  const shown = all ? value.cells : changed;
  return (
    <div className="mnt-compare">
      <div className="mnt-row">
        <p role="status">
          {changed.length === 1 ? '1 cell differs' : `${changed.length} cells differ`} of{' '}
          {value.cells.length}.
        </p>
        <label>
          <input type="checkbox" checked={all} onChange={event => setAll(event.target.checked)} />{' '}
          Show cells that agree
        </label>
      </div>
      {!shown.length && <Empty title="Twin and private table gave the same outputs" />}
      {shown.map(cell => (
        <CellPair key={cell.number} cell={cell} />
      ))}
    </div>
  );
}

function CellPair({ cell }: { cell: DiffCell }): JSX.Element {
  return (
    <section
      className={`mnt-pair ${cell.changed ? 'mnt-pair-changed' : ''}`}
      aria-label={`Cell ${cell.number}${cell.changed ? ', differs' : ''}`}
    >
      <header>
        <strong>Cell {cell.number}</strong>
        {cell.changed && <span className="mnt-pill mnt-tone-wait">Differs</span>}
      </header>
      <pre className="mnt-source">{cell.source}</pre>
      <div className="mnt-sides">
        <div>
          <h4>On the twin</h4>
          <pre>{cell.twin || '(no output)'}</pre>
        </div>
        <div>
          <h4>On the private table</h4>
          <pre>{cell.real || '(no output)'}</pre>
        </div>
      </div>
    </section>
  );
}
