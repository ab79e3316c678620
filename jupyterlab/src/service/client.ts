/** The one class that speaks HTTP. It talks to this JupyterLab's server extension, to nobody else. */
import type {
  Attestation,
  Dataset,
  Diff,
  Job,
  JobEvent,
  JobPage,
  LiveLine,
  Outputs,
  Place,
  Preflight,
  Rehearsal,
  RoomInfo,
  SubmitRequest
} from '../models/wire';
import { chunks, lines } from './lines';

/** How a request leaves: JupyterLab's own connection, or a stand-in in a test. */
export interface Transport {
  /** Base address of the server extension, without a slash at the end. */
  readonly base: string;
  send(path: string, init: RequestInit): Promise<Response>;
}

/** A refusal, with what was expected, what was found and what to do. */
export class RoomError extends Error {
  constructor(
    message: string,
    readonly hint: string,
    readonly code: string,
    readonly status: number
  ) {
    super(message);
    this.name = 'RoomError';
  }
}

async function errorOf(response: Response): Promise<RoomError> {
  let body: { message?: unknown; hint?: unknown; code?: unknown } = {};
  try {
    body = (await response.json()) as typeof body;
  } catch {
    // not ours: an older or missing server extension
  }
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const missing = response.status === 404 && !body.code;
  return new RoomError(
    missing
      ? 'The server part of the ManaTEE extension does not answer.'
      : text(body.message) || `The server answered ${response.status}.`,
    missing ? 'Run `manatee doctor`.' : text(body.hint),
    text(body.code),
    response.status
  );
}

const job = (id: string): string => `jobs/${encodeURIComponent(id)}`;

export class CleanRoomClient {
  constructor(private readonly _transport: Transport) {}

  info(): Promise<RoomInfo> {
    return this._get('info');
  }

  datasets(): Promise<Dataset[]> {
    return this._get('datasets');
  }

  /** One page of jobs, newest first; `cursor` is the page before's `next_cursor`. */
  jobs(cursor: number | null = null): Promise<JobPage> {
    return this._get(cursor === null ? 'jobs' : `jobs?cursor=${cursor}`);
  }

  job(id: string): Promise<Job> {
    return this._get(job(id));
  }

  /** Everything that happened to a job so far. */
  events(id: string): Promise<JobEvent[]> {
    return this._get(`${job(id)}/events`);
  }

  /** Where the notebook of a job lies in this JupyterLab. */
  notebook(id: string): Promise<Place> {
    return this._get(`${job(id)}/notebook`);
  }

  preflight(notebook: string): Promise<Preflight> {
    return this._post('preflight', { notebook });
  }

  /** Run it on the twin, here; answers when it has ended. */
  rehearse(request: SubmitRequest): Promise<Rehearsal> {
    return this._post('rehearsal', request);
  }

  /** Where the rehearsed notebook is shown, sanitised and sandboxed. */
  rehearsalUrl(): string {
    return `${this._transport.base}/rehearsal`;
  }

  submit(request: SubmitRequest): Promise<Job> {
    return this._post('jobs', request);
  }

  cancel(id: string): Promise<Job> {
    return this._post(`${job(id)}/cancel`, {});
  }

  outputs(id: string): Promise<Outputs> {
    return this._get(`${job(id)}/outputs`);
  }

  attestation(id: string): Promise<Attestation> {
    return this._get(`${job(id)}/attestation`);
  }

  diff(id: string): Promise<Diff> {
    return this._get(`${job(id)}/diff`);
  }

  /** Where an output is shown, sanitised and sandboxed, without a kernel. */
  viewUrl(id: string, path: string): string {
    return `${this._transport.base}/${job(id)}/view?path=${encodeURIComponent(path)}`;
  }

  /** Where an output is downloaded. */
  fileUrl(id: string, path: string): string {
    return `${this._transport.base}/${job(id)}/file?path=${encodeURIComponent(path)}`;
  }

  /** Where the run bundle is downloaded, for an auditor. */
  bundleUrl(id: string): string {
    return `${this._transport.base}/${job(id)}/bundle`;
  }

  /** Where the provider's report on a twin is shown. */
  reportUrl(dataset: string): string {
    return `${this._transport.base}/datasets/${encodeURIComponent(dataset)}/report`;
  }

  /** Follow all jobs that have not ended, until the stream breaks or `signal` ends it. */
  async *live(signal: AbortSignal): AsyncGenerator<LiveLine, void, void> {
    const response = await this._transport.send('live', { method: 'GET', signal });
    if (!response.ok || response.body === null) {
      throw await errorOf(response);
    }
    for await (const line of lines(chunks(response.body))) {
      yield JSON.parse(line) as LiveLine;
    }
  }

  private _get<T>(path: string): Promise<T> {
    return this._call(path, { method: 'GET' });
  }

  private _post<T>(path: string, body: unknown): Promise<T> {
    return this._call(path, { method: 'POST', body: JSON.stringify(body) });
  }

  private async _call<T>(path: string, init: RequestInit): Promise<T> {
    let response: Response;
    try {
      response = await this._transport.send(path, init);
    } catch (error) {
      throw new RoomError(
        'JupyterLab’s server did not answer.',
        'Check that it still runs.',
        'unreachable',
        0
      );
    }
    if (!response.ok) {
      throw await errorOf(response);
    }
    return (await response.json()) as T;
  }
}
