/** What may be said of a verification. */
import type { Attestation, Check } from './wire';

/** One failed check is enough for "Not verified", whatever the headline says; so is no check. */
export function isVerified(report: Attestation): boolean {
  return (
    report.verified &&
    report.checks.some(check => check.mark === 'passed') &&
    report.checks.every(check => check.mark === 'passed' || check.mark === 'not_applicable')
  );
}

/** Anything that is not known to be better counts as simulated. */
export function isSimulated(report: Attestation): boolean {
  return report.tier === '' || report.tier === 'simulated';
}

/** The headline as a title and the rest; nothing kind is ever said of a run that failed a check. */
export function headlineOf(report: Attestation): [string, string] {
  const [title, ...rest] = report.headline.split(': ');
  const text = rest.join(': ');
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return isVerified(report) ? [title!, sentence] : ['Not verified', sentence];
}

/** Failed checks first; otherwise in the order of the verification. */
export function worstFirst(checks: readonly Check[]): Check[] {
  const failed = (check: Check): boolean => check.mark === 'failed';
  return [...checks.filter(failed), ...checks.filter(check => !failed(check))];
}
