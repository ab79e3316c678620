import * as React from 'react';
import type { RoomModel } from '../models/room';
import type { Dataset } from '../models/wire';
import { useLoaded } from './hooks';
import { Busy, Empty, Trouble } from './parts';

interface Props {
  room: RoomModel;
  /** Puts code into the notebook that is open, or says that none is. */
  onInsert: (code: string) => void;
}

/** The data sets one may compute on, and what their twins keep secret. */
export function Catalogue({ room, onInsert }: Props): JSX.Element {
  const { error } = useLoaded(() => room.loadDatasets(), 'datasets');
  if (error) {
    return <Trouble error={error} />;
  }
  if (!room.datasets.length) {
    return room.loaded ? (
      <Empty title="No data sets">No data provider has published one for you yet.</Empty>
    ) : (
      <Busy what="Loading data sets" />
    );
  }
  return (
    <ul className="mnt-datasets" aria-label="Data sets">
      {room.datasets.map(dataset => (
        <li key={dataset.name}>
          <DatasetCard
            dataset={dataset}
            onInsert={onInsert}
            report={dataset.has_report ? room.client.reportUrl(dataset.name) : ''}
          />
        </li>
      ))}
    </ul>
  );
}

function DatasetCard(props: {
  dataset: Dataset;
  report: string;
  onInsert: (code: string) => void;
}): JSX.Element {
  const { dataset, report, onInsert } = props;
  return (
    <details className="mnt-dataset">
      <summary>
        <span className="mnt-dataset-name">{dataset.name}</span>
        <span className="mnt-quiet">
          {dataset.columns.length} columns · from {dataset.provider} · {dataset.label}
        </span>
      </summary>
      <div className="mnt-row">
        <button type="button" className="mnt-button" onClick={() => onInsert(dataset.snippet)}>
          Insert code
        </button>
        {report && (
          <a className="mnt-button" href={report} target="_blank" rel="noreferrer">
            Report on the twin
          </a>
        )}
      </div>
      {dataset.privacy.length > 0 && (
        <>
          <h4>What protects the people in it</h4>
          <ul className="mnt-plain">
            {dataset.privacy.map(line => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </>
      )}
      <h4>Columns</h4>
      <dl className="mnt-columns">
        {dataset.columns.map(column => (
          <React.Fragment key={column.name}>
            <dt>
              <code>{column.name}</code> <span className="mnt-quiet">{column.type}</span>
            </dt>
            {column.description && <dd>{column.description}</dd>}
          </React.Fragment>
        ))}
      </dl>
      {dataset.sample.length > 0 && (
        <>
          <h4>First rows of the twin</h4>
          <div className="mnt-scroll" tabIndex={0} role="region" aria-label="First rows">
            <table>
              <thead>
                <tr>
                  {dataset.columns.map(column => (
                    <th key={column.name} scope="col">
                      {column.name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {dataset.sample.map((row, index) => (
                  <tr key={index}>
                    {row.map((value, place) => (
                      <td key={place}>{value === null ? '' : String(value)}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </details>
  );
}
