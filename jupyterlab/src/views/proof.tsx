import * as React from 'react';
import type { CleanRoomClient } from '../service/client';
import { headlineOf, isSimulated, isVerified, worstFirst } from '../models/proof';
import type { Attestation } from '../models/wire';
import { useLoaded } from './hooks';
import { Busy, MarkSign, SimulatedBand, Trouble } from './parts';

/** What the verification of a run says, check by check. */
export function ProofView(props: { client: CleanRoomClient; jobId: string }): JSX.Element {
  const { value, error } = useLoaded(() => props.client.attestation(props.jobId), props.jobId);
  if (error) {
    return <Trouble error={error} />;
  }
  if (!value) {
    return <Busy what="Verifying the run bundle" />;
  }
  return <ProofReport report={value} bundle={props.client.bundleUrl(props.jobId)} />;
}

function ProofReport(props: { report: Attestation; bundle: string }): JSX.Element {
  const { report, bundle } = props;
  const good = isVerified(report);
  const simulated = isSimulated(report);
  const counted = report.checks.filter(check => check.mark !== 'not_applicable');
  const passed = counted.filter(check => check.mark === 'passed').length;
  const [title, rest] = headlineOf(report);
  const tone = !good ? 'bad' : simulated ? 'wait' : 'good';
  return (
    <div className="mnt-proof">
      {simulated && <SimulatedBand />}
      <div className={`mnt-headline mnt-tone-${tone}`}>
        <h3>{title}</h3>
        {rest && <p>{rest}</p>}
        <p>
          {passed} of {counted.length} checks passed · trust in the TEE: {report.tier || 'unknown'}
        </p>
      </div>
      <ul className="mnt-checks" aria-label="Checks">
        {worstFirst(report.checks).map(check => (
          <li key={check.title} className={`mnt-check mnt-check-${check.mark}`}>
            <MarkSign mark={check.mark} />
            <div>
              <strong>{check.title}</strong>
              <p>{check.reason}</p>
            </div>
          </li>
        ))}
      </ul>
      <div className="mnt-row">
        <a className="mnt-button" href={bundle} download>
          Download the run bundle
        </a>
      </div>
      <details className="mnt-details">
        <summary>Details: the signed statement and the raw evidence</summary>
        <pre tabIndex={0}>{report.details}</pre>
      </details>
    </div>
  );
}
