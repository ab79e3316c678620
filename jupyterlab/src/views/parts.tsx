/** Small pieces that several views share. */
import * as React from 'react';
import { RoomError } from '../service/client';
import { describeState } from '../models/words';
import type { Mark, Severity } from '../models/wire';

export function StatePill({ state }: { state: string }): JSX.Element {
  const { label, tone } = describeState(state);
  return <span className={`mnt-pill mnt-tone-${tone}`}>{label}</span>;
}

export function SimulatedBand(): JSX.Element {
  return (
    <div className="mnt-simulated" role="note">
      <strong>SIMULATED TEE</strong>
      <span>No hardware protects this run. Use it to learn and to test, never for secrets.</span>
    </div>
  );
}

const SIGNS: Record<Mark, { sign: string; word: string }> = {
  passed: { sign: '✓', word: 'Passed' },
  failed: { sign: '✗', word: 'Failed' },
  not_applicable: { sign: '–', word: 'Does not apply' }
};

export function MarkSign({ mark }: { mark: Mark }): JSX.Element {
  const { sign, word } = SIGNS[mark];
  return (
    <span className={`mnt-mark mnt-mark-${mark}`} role="img" aria-label={word}>
      {sign}
    </span>
  );
}

const SEVERITIES: Record<Severity, string> = {
  error: 'Must be mended',
  warning: 'Look at this',
  hint: 'Hint'
};

export function SeverityWord({ severity }: { severity: Severity }): JSX.Element {
  return <span className={`mnt-severity mnt-severity-${severity}`}>{SEVERITIES[severity]}</span>;
}

/** An error as a person needs it: what happened, what to do. */
export function Trouble({ error }: { error: unknown }): JSX.Element | null {
  if (!error) {
    return null;
  }
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof RoomError ? error.hint : '';
  return (
    <div className="mnt-alert" role="alert">
      <p>{message}</p>
      {hint && <p className="mnt-quiet">{hint}</p>}
    </div>
  );
}

export function Busy({ what }: { what: string }): JSX.Element {
  return (
    <p className="mnt-busy" role="status">
      <span className="mnt-spinner" aria-hidden="true" /> {what}
    </p>
  );
}

export function Empty(props: { title: string; children?: React.ReactNode }): JSX.Element {
  return (
    <div className="mnt-empty">
      <p className="mnt-empty-title">{props.title}</p>
      {props.children && <div className="mnt-quiet">{props.children}</div>}
    </div>
  );
}

export interface TabSpec {
  id: string;
  label: string;
  disabled?: boolean;
}

/** A row of tabs that arrow keys move through. */
export function Tabs(props: {
  name: string;
  tabs: readonly TabSpec[];
  current: string;
  onChoose: (id: string) => void;
}): JSX.Element {
  const list = React.useRef<HTMLDivElement>(null);
  const move = (event: React.KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) {
      return;
    }
    event.preventDefault();
    const open = props.tabs.filter(tab => !tab.disabled);
    const at = open.findIndex(tab => tab.id === props.current);
    const next = open[(at + step + open.length) % open.length]!;
    props.onChoose(next.id);
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  };
  return (
    <div className="mnt-tabs" role="tablist" aria-label={props.name} ref={list} onKeyDown={move}>
      {props.tabs.map(tab => (
        <button
          key={tab.id}
          data-tab={tab.id}
          type="button"
          role="tab"
          aria-selected={tab.id === props.current}
          disabled={tab.disabled}
          tabIndex={tab.id === props.current ? 0 : -1}
          onClick={() => props.onChoose(tab.id)}
        >
          {tab.label}
        </button>
      ))}
    </div>
  );
}
