import * as React from 'react';
import {
  FIELDS,
  problems,
  requestOf,
  suggest,
  type Field,
  type FormValues,
  type Problems
} from '../models/form';
import type { RoomModel } from '../models/room';
import { fileName } from '../models/words';
import type { Job } from '../models/wire';
import { Findings } from './findings';
import { useLoaded, useRoom } from './hooks';
import { Busy, SimulatedBand, Trouble } from './parts';
import { RehearsalView } from './rehearsal';

export interface SubmitFormProps {
  room: RoomModel;
  start: FormValues;
  /** Saves the notebook; what is submitted is what is on disk. */
  onSave: () => Promise<void>;
  onCell: (cell: number) => void;
  onSubmitted: (job: Job) => void;
}

/** Asks what a data provider has to know, and submits. */
export function SubmitForm(props: SubmitFormProps): JSX.Element {
  const room = useRoom(props.room);
  const [values, setValues] = React.useState(props.start);
  const [tried, setTried] = React.useState(false);
  const [busy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<unknown>(null);
  const form = React.useRef<HTMLFormElement>(null);

  useLoaded(() => room.loadDatasets(), 'datasets');
  const checked = useLoaded(async () => {
    await props.onSave();
    return room.client.preflight(props.start.notebook);
  }, props.start.notebook);
  const preflight = checked.value;
  React.useEffect(() => {
    setValues(now => suggest(now, preflight, room.info));
  }, [preflight, room.info]);

  const found: Problems = tried ? problems(values, preflight) : {};
  const refused = preflight?.findings.some(finding => finding.severity === 'error') ?? false;
  const change = (part: Partial<FormValues>): void => setValues(now => ({ ...now, ...part }));

  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    setTried(true);
    const wrong = problems(values, preflight);
    const first = FIELDS.find(field => wrong[field]);
    if (first) {
      focus(form.current, first);
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await props.onSave();
      props.onSubmitted(await room.client.submit(requestOf(values, preflight)));
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };

  return (
    <form className="mnt-page mnt-form" ref={form} noValidate onSubmit={e => void submit(e)}>
      <header className="mnt-page-head">
        <h2>
          {values.resubmits ? 'Submit again: ' : 'Submit '}
          {fileName(values.notebook)}
        </h2>
        <p className="mnt-quiet">
          It runs once, in an isolated guest, on the private tables. The data providers must
          approve exactly this code first.
        </p>
      </header>
      {room.info?.simulated && <SimulatedBand />}
      <Row name="purpose" label="Purpose" problem={found.purpose} required>
        {given => (
          <textarea
            {...given}
            rows={3}
            autoFocus
            value={values.purpose}
            placeholder="What is the question, and who will use the answer?"
            onChange={event => change({ purpose: event.target.value })}
          />
        )}
      </Row>
      <Row name="project" label="Project" problem={found.project} required>
        {given => (
          <>
            <input
              {...given}
              list="mnt-projects"
              value={values.project}
              onChange={event => change({ project: event.target.value })}
            />
            <datalist id="mnt-projects">
              {room.info?.projects.map(project => <option key={project} value={project} />)}
            </datalist>
          </>
        )}
      </Row>
      <DatasetChoice room={room} values={values} change={change} problem={found.datasets} />
      <Parameters values={values} change={change} problem={found.parameters} />
      <Row
        name="outputs"
        label="Declared outputs"
        problem={found.outputs}
        help="Files that the notebook publishes, one a line. They and the executed notebook come back."
      >
        {given => (
          <textarea
            {...given}
            rows={2}
            value={values.outputs}
            onChange={event => change({ outputs: event.target.value })}
          />
        )}
      </Row>
      <Row name="resources" label="Resources">
        {given => (
          <select
            {...given}
            value={values.resourceClass}
            onChange={event => change({ resourceClass: event.target.value })}
          >
            {(room.info?.resource_classes ?? []).map(name => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Row>
      <Trouble error={checked.error} />
      {!preflight && !checked.error && <Busy what="Pre-flight: reading the notebook" />}
      {preflight && <Findings preflight={preflight} onCell={props.onCell} />}
      {preflight && (
        <RehearsalView
          client={room.client}
          onSave={props.onSave}
          request={() => requestOf(values, preflight)}
          onCell={props.onCell}
          disabled={refused || !values.datasets.length}
        />
      )}
      <Trouble error={error} />
      <div className="mnt-row">
        <button type="submit" className="mnt-button mnt-primary" disabled={busy || refused}>
          {busy ? 'Submitting…' : 'Submit for approval'}
        </button>
        {refused && (
          <span className="mnt-problem" role="status">
            Mend what pre-flight found first.
          </span>
        )}
        <button type="button" className="mnt-button" onClick={checked.reload}>
          Check again
        </button>
      </div>
    </form>
  );
}

function focus(form: HTMLFormElement | null, field: Field): void {
  form?.querySelector<HTMLElement>(`[data-field="${field}"]`)?.focus();
}

interface Given {
  id: string;
  'data-field': string;
  'aria-invalid': boolean;
  'aria-required': boolean;
  'aria-describedby': string;
}

/** A labelled field with its help and its problem, tied together for screen readers. */
function Row(props: {
  name: string;
  label: string;
  help?: string;
  problem?: string | undefined;
  required?: boolean;
  children: (given: Given) => React.ReactNode;
}): JSX.Element {
  const id = React.useId();
  return (
    <div className="mnt-field">
      <label htmlFor={id}>
        {props.label}
        {props.required && <span className="mnt-quiet"> (required)</span>}
      </label>
      {props.children({
        id,
        'data-field': props.name,
        'aria-invalid': Boolean(props.problem),
        'aria-required': Boolean(props.required),
        'aria-describedby': `${id}-notes`
      })}
      <div id={`${id}-notes`}>
        {props.help && <p className="mnt-quiet">{props.help}</p>}
        {props.problem && (
          <p className="mnt-problem" role="alert">
            {props.problem}
          </p>
        )}
      </div>
    </div>
  );
}

interface PartProps {
  values: FormValues;
  change: (part: Partial<FormValues>) => void;
  problem: string | undefined;
}

function DatasetChoice(props: PartProps & { room: RoomModel }): JSX.Element {
  const { room, values, change, problem } = props;
  const known = room.datasets.map(dataset => dataset.name);
  const names = [...known, ...values.datasets.filter(name => !known.includes(name))];
  const toggle = (name: string): void =>
    change({
      datasets: values.datasets.includes(name)
        ? values.datasets.filter(other => other !== name)
        : [...values.datasets, name]
    });
  return (
    <fieldset className="mnt-field" aria-invalid={Boolean(problem)}>
      <legend>
        Data sets<span className="mnt-quiet"> (required)</span>
      </legend>
      {names.map((name, index) => (
        <label key={name} className="mnt-choice">
          <input
            type="checkbox"
            data-field={index === 0 ? 'datasets' : undefined}
            checked={values.datasets.includes(name)}
            onChange={() => toggle(name)}
          />{' '}
          {name}
          {!known.includes(name) && <span className="mnt-problem"> not in the catalogue</span>}
        </label>
      ))}
      {problem && (
        <p className="mnt-problem" role="alert">
          {problem}
        </p>
      )}
    </fieldset>
  );
}

function Parameters({ values, change, problem }: PartProps): JSX.Element | null {
  const names = Object.keys(values.parameters);
  if (!names.length) {
    return null;
  }
  return (
    <fieldset className="mnt-field">
      <legend>Parameters</legend>
      {names.map((name, index) => (
        <label key={name} className="mnt-parameter">
          <code>{name}</code>
          <input
            data-field={index === 0 ? 'parameters' : undefined}
            value={values.parameters[name]}
            onChange={event =>
              change({ parameters: { ...values.parameters, [name]: event.target.value } })
            }
          />
        </label>
      ))}
      {problem && (
        <p className="mnt-problem" role="alert">
          {problem}
        </p>
      )}
    </fieldset>
  );
}
