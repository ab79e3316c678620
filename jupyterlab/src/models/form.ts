/** The submission form, apart from how it looks. */
import type { Job, Preflight, RoomInfo, Scalar, SubmitRequest } from './wire';

export interface FormValues {
  notebook: string;
  purpose: string;
  project: string;
  datasets: string[];
  outputs: string;
  parameters: Record<string, string>;
  resourceClass: string;
  resubmits: string | null;
}

export type Field = 'purpose' | 'project' | 'datasets' | 'parameters' | 'outputs';

/** What stands in the way of submitting, by field; an empty object: nothing. */
export type Problems = Partial<Record<Field, string>>;

/** The order in which fields stand on the screen, so that the first problem gets the focus. */
export const FIELDS: readonly Field[] = [
  'purpose',
  'project',
  'datasets',
  'parameters',
  'outputs'
];

export function emptyForm(notebook: string): FormValues {
  return {
    notebook,
    purpose: '',
    project: '',
    datasets: [],
    outputs: '',
    parameters: {},
    resourceClass: '',
    resubmits: null
  };
}

/** Start from an earlier job, to submit it again with changes. */
export function formOf(job: Job): FormValues {
  const manifest = job.manifest;
  return {
    notebook: manifest.entry_notebook,
    purpose: manifest.purpose,
    project: manifest.project,
    datasets: manifest.datasets.map(use => use.name),
    outputs: manifest.declared_outputs.join('\n'),
    parameters: asTexts(manifest.parameters),
    resourceClass: manifest.resource_class,
    resubmits: job.id
  };
}

/** Fill what a person has not said yet with what pre-flight and the service know. */
export function suggest(
  values: FormValues,
  preflight: Preflight | null,
  info: RoomInfo | null
): FormValues {
  return {
    ...values,
    project: values.project || info?.projects[0] || '',
    resourceClass: values.resourceClass || info?.resource_classes[0] || '',
    datasets: values.datasets.length ? values.datasets : (preflight?.datasets ?? []),
    parameters: { ...asTexts(preflight?.parameters ?? {}), ...values.parameters }
  };
}

export function problems(values: FormValues, preflight: Preflight | null): Problems {
  const found: Problems = {};
  if (!values.purpose.trim()) {
    found.purpose = 'Say what the results are for: the data providers read this.';
  }
  if (!values.project.trim()) {
    found.project = 'Name the project that this belongs to.';
  }
  if (!values.datasets.length) {
    found.datasets = 'Choose at least one data set.';
  }
  for (const [name, text] of Object.entries(values.parameters)) {
    if (typeof preflight?.parameters[name] === 'number' && !isNumber(text)) {
      found.parameters = `${name} must be a number.`;
    }
  }
  const bad = listOf(values.outputs).find(
    path => path.startsWith('/') || path.split('/').some(part => part === '..' || part === '.')
  );
  if (bad) {
    found.outputs = `${bad} does not lie in the output folder.`;
  }
  return found;
}

/** What is sent. Parameters keep the type that the notebook declares. */
export function requestOf(values: FormValues, preflight: Preflight | null): SubmitRequest {
  const declared = preflight?.parameters ?? {};
  const parameters: Record<string, Scalar> = {};
  for (const [name, text] of Object.entries(values.parameters)) {
    const value = typed(text, declared[name]);
    if (value !== declared[name]) {
      parameters[name] = value;
    }
  }
  return {
    notebook: values.notebook,
    purpose: values.purpose.trim(),
    project: values.project.trim(),
    datasets: values.datasets,
    declared_outputs: listOf(values.outputs),
    parameters,
    resource_class: values.resourceClass,
    resubmits: values.resubmits
  };
}

function asTexts(values: Record<string, Scalar>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, `${value}`]));
}

function isNumber(text: string): boolean {
  return text.trim() !== '' && Number.isFinite(Number(text));
}

function typed(text: string, like: Scalar | undefined): Scalar {
  if (typeof like === 'number' && isNumber(text)) {
    return Number(text);
  }
  if (typeof like === 'boolean') {
    return text === 'true';
  }
  return text;
}

function listOf(text: string): string[] {
  return text
    .split(/[\n,]/)
    .map(part => part.trim())
    .filter(part => part !== '');
}
