import * as React from 'react';
import type { CleanRoomClient } from '../service/client';
import type { Rehearsal, SubmitRequest } from '../models/wire';
import { SafeFrame } from './outputs';
import { Busy, Trouble } from './parts';

interface Props {
  client: CleanRoomClient;
  /** Saves the notebook first: what is rehearsed is what is on disk. */
  onSave: () => Promise<void>;
  request: () => SubmitRequest;
  onCell: (cell: number) => void;
  disabled: boolean;
}

/** Runs the notebook on the twin, in the very sandbox and runtime of the secure stage. */
export function RehearsalView(props: Props): JSX.Element {
  const [busy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<unknown>(null);
  const [done, setDone] = React.useState<{ value: Rehearsal; turn: number } | null>(null);

  const rehearse = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await props.onSave();
      const value = await props.client.rehearse(props.request());
      setDone(before => ({ value, turn: (before?.turn ?? 0) + 1 }));
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };

  const found = done?.value;
  return (
    <section className="mnt-findings" aria-label="Dress rehearsal">
      <h3>Dress rehearsal</h3>
      <p className="mnt-quiet">
        Runs it now on the twin, on this machine, in the sandbox and runtime of the secure stage.
      </p>
      <button
        type="button"
        className="mnt-button"
        disabled={busy || props.disabled}
        onClick={() => void rehearse()}
      >
        {busy ? 'Rehearsing…' : 'Rehearse on the twin'}
      </button>
      {busy && <Busy what="Rehearsing on the twin" />}
      <Trouble error={error} />
      {!busy && found && (
        <div role="status">
          <p className={found.succeeded ? 'mnt-fine' : 'mnt-problem'}>
            {found.succeeded ? '✓ The rehearsal succeeded' : `✗ The rehearsal failed: ${found.words}`}
            , {found.seconds} s.{' '}
            {found.cell !== null && (
              <button
                type="button"
                className="mnt-link"
                onClick={() => props.onCell(found.cell as number)}
              >
                Go to cell {found.cell}
              </button>
            )}
          </p>
          {found.files.length > 0 && (
            <details>
              <summary>What it would have published</summary>
              <p className="mnt-quiet">{found.files.join(', ')}</p>
              <SafeFrame
                key={done?.turn}
                src={`${props.client.rehearsalUrl()}?turn=${done?.turn ?? 0}`}
                title="Rehearsed notebook"
              />
            </details>
          )}
        </div>
      )}
    </section>
  );
}
