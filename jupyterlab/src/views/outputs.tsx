import * as React from 'react';
import type { CleanRoomClient } from '../service/client';
import { bytes } from '../models/words';
import { useLoaded } from './hooks';
import { Busy, Empty, Trouble } from './parts';

/**
 * A frame that can do nothing: no script, no form, no window, no request to anywhere.
 *
 * The server sends the same rules as a header; either alone is enough.
 */
export function SafeFrame(props: { src: string; title: string }): JSX.Element {
  return <iframe className="mnt-frame" sandbox="" src={props.src} title={props.title} />;
}

/** Released outputs: the executed notebook to look at, and files to look at or keep. */
export function OutputsView(props: { client: CleanRoomClient; jobId: string }): JSX.Element {
  const { client, jobId } = props;
  const { value, error } = useLoaded(() => client.outputs(jobId), jobId);
  const [chosen, choose] = React.useState('');
  if (error) {
    return <Trouble error={error} />;
  }
  if (!value) {
    return <Busy what="Decrypting the outputs on your own server" />;
  }
  if (!value.files.length) {
    return <Empty title="The run released no files" />;
  }
  const viewable = value.files.filter(file => file.viewable);
  const shown = chosen || value.notebook || viewable[0]?.path || '';
  return (
    <div className="mnt-outputs">
      <ul className="mnt-files" aria-label="Released files">
        {value.files.map(file => (
          <li key={file.path} className={file.path === shown ? 'mnt-chosen' : ''}>
            {file.viewable ? (
              <button type="button" className="mnt-link" onClick={() => choose(file.path)}>
                {file.path}
              </button>
            ) : (
              <span>{file.path}</span>
            )}
            <span className="mnt-quiet">{bytes(file.size)}</span>
            <a
              className="mnt-link"
              href={client.fileUrl(jobId, file.path)}
              download
              aria-label={`Download ${file.path}`}
            >
              Download
            </a>
          </li>
        ))}
      </ul>
      {shown && (
        <SafeFrame src={client.viewUrl(jobId, shown)} title={`Released output: ${shown}`} />
      )}
    </div>
  );
}
