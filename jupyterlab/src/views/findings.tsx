import * as React from 'react';
import type { Finding, Preflight } from '../models/wire';
import { SeverityWord } from './parts';

interface Props {
  preflight: Preflight;
  onCell: (cell: number) => void;
}

/** What pre-flight found. The service checks again: this is help, not permission. */
export function Findings({ preflight, onCell }: Props): JSX.Element {
  const { findings, n_cells: nCells, datasets } = preflight;
  return (
    <section className="mnt-findings" aria-label="Pre-flight">
      <h3>Pre-flight</h3>
      <p className="mnt-quiet">
        {nCells} code cells; data sets used: {datasets.join(', ') || 'none'}. The service checks
        again.
      </p>
      {!findings.length && <p className="mnt-fine">✓ Nothing found that would stop it.</p>}
      <ul>
        {findings.map((finding, index) => (
          <FindingItem key={index} finding={finding} onCell={onCell} />
        ))}
      </ul>
    </section>
  );
}

function FindingItem(props: { finding: Finding; onCell: (cell: number) => void }): JSX.Element {
  const { finding, onCell } = props;
  const cell = finding.cell;
  return (
    <li className={`mnt-finding mnt-finding-${finding.severity}`} data-code={finding.code}>
      <div className="mnt-finding-head">
        <SeverityWord severity={finding.severity} />
        {cell !== null && (
          <button type="button" className="mnt-link" onClick={() => onCell(cell)}>
            cell {cell}
            {finding.line ? `, line ${finding.line}` : ''}
          </button>
        )}
      </div>
      <p>{finding.message}</p>
      {finding.advice && <p className="mnt-quiet">{finding.advice}</p>}
    </li>
  );
}
