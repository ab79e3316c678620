/** What the panel knows about the clean room, kept up to date by one live stream. */
import type { CleanRoomClient } from '../service/client';
import { describeState, hasEnded } from './words';
import type { Dataset, Job, JobEvent, LiveLine, RoomInfo } from './wire';

export type Connection = 'connecting' | 'live' | 'reconnecting';

/** A job that has just ended, for a notification. */
export type Ended = (job: Job) => void;

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** The server says something at least every 5 s: after this long a silence, the stream is dead. */
const LONGEST_SILENCE_MS = 15_000;

/** Waits, and ends early when `signal` says so. */
export type Sleep = (milliseconds: number, signal: AbortSignal) => Promise<void>;

const sleep: Sleep = (milliseconds, signal) =>
  new Promise(resolve => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

export class RoomModel {
  info: RoomInfo | null = null;
  datasets: readonly Dataset[] = [];
  connection: Connection = 'connecting';
  /** Why nothing can be shown; '' when all is well. */
  problem = '';
  /** Whether the first page of jobs has arrived. */
  loaded = false;

  private readonly _jobs = new Map<string, Job>();
  private _order: string[] = [];
  private readonly _events = new Map<string, JobEvent[]>();
  private readonly _listeners = new Set<() => void>();
  private readonly _ended = new Set<Ended>();
  private _cursor: number | null = null;
  private _loadingMore = false;

  constructor(
    readonly client: CleanRoomClient,
    private readonly _sleep: Sleep = sleep
  ) {}

  /** Jobs known so far, newest first. */
  get jobs(): readonly Job[] {
    return this._order.map(id => this._jobs.get(id)!);
  }

  get hasMore(): boolean {
    return this._cursor !== null;
  }

  job(id: string): Job | undefined {
    return this._jobs.get(id);
  }

  events(id: string): readonly JobEvent[] {
    return this._events.get(id) ?? [];
  }

  /** Call `listener` after every change; returns how to stop. */
  onChange(listener: () => void): () => void {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  /** Call `listener` for every job that ends while somebody looks; returns how to stop. */
  onEnded(listener: Ended): () => void {
    this._ended.add(listener);
    return () => this._ended.delete(listener);
  }

  /** Load what the panel shows first: who, and the newest page of jobs. */
  async load(): Promise<void> {
    try {
      const [info, page] = await Promise.all([this.client.info(), this.client.jobs()]);
      this.info = info;
      this.problem = '';
      this.loaded = true;
      this._cursor = page.next_cursor;
      this._order = [];
      page.jobs.forEach(job => this._keep(job));
      this._order = page.jobs.map(job => job.id);
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      this._changed();
    }
  }

  /** Load the next, older page of jobs, if there is one. */
  async loadMore(): Promise<void> {
    if (this._cursor === null || this._loadingMore) {
      return;
    }
    this._loadingMore = true;
    try {
      const page = await this.client.jobs(this._cursor);
      this._cursor = page.next_cursor;
      for (const job of page.jobs) {
        if (!this._jobs.has(job.id)) {
          this._order.push(job.id);
        }
        this._keep(job);
      }
    } finally {
      this._loadingMore = false;
      this._changed();
    }
  }

  async loadDatasets(): Promise<void> {
    this.datasets = await this.client.datasets();
    this._changed();
  }

  /** Load one job and its history, for a page that was opened by its id. */
  async loadJob(id: string): Promise<void> {
    const [job, events] = await Promise.all([this.client.job(id), this.client.events(id)]);
    this._keep(job);
    events.forEach(event => this._keepEvent(id, event));
    this._changed();
  }

  /** Take in a job that this window submitted or cancelled. */
  take(job: Job): void {
    this._see(job);
    this._changed();
  }

  /** Follow the service until `signal` ends it; a broken stream is taken up again. */
  async follow(signal: AbortSignal): Promise<void> {
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted) {
      try {
        if (!this.loaded || this.connection === 'reconnecting') {
          await this.load();
        }
        await this._listen(signal, () => (wait = FIRST_WAIT_MS));
      } catch {
        // whatever broke it: it is taken up again below, and the panel says so meanwhile
      }
      if (!signal.aborted) {
        this.connection = 'reconnecting';
        this._changed();
        await this._sleep(wait, signal);
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      }
    }
  }

  /** Take in one stream until it ends, breaks, or falls silent. */
  private async _listen(signal: AbortSignal, onLine: () => void): Promise<void> {
    const stream = new AbortController();
    const stop = (): void => stream.abort();
    signal.addEventListener('abort', stop);
    let timer = setTimeout(stop, LONGEST_SILENCE_MS);
    try {
      for await (const line of this.client.live(stream.signal)) {
        clearTimeout(timer);
        timer = setTimeout(stop, LONGEST_SILENCE_MS);
        onLine();
        this._apply(line);
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  private _apply(line: LiveLine): void {
    const before = this.connection;
    this.connection = 'live';
    if (line.kind === 'job') {
      this._see(line.job);
    } else if (line.kind === 'event') {
      this._keepEvent(line.job_id, line.event);
    } else if (before === 'live') {
      return;
    }
    this._changed();
  }

  /** Keep a job, put a new one on top, and tell those who wait for ends. */
  private _see(job: Job): void {
    const before = this._jobs.get(job.id);
    this._keep(job);
    if (!this._order.includes(job.id)) {
      this._order.unshift(job.id);
    }
    if (before && !hasEnded(before.state) && hasEnded(job.state)) {
      this._ended.forEach(listener => listener(job));
    }
  }

  private _keep(job: Job): void {
    const known = this._jobs.get(job.id);
    if (!known || known.version <= job.version) {
      this._jobs.set(job.id, job);
    }
  }

  private _keepEvent(id: string, event: JobEvent): void {
    const events = this._events.get(id) ?? [];
    if (events.every(known => known.seq !== event.seq)) {
      const place = events.findIndex(known => known.seq > event.seq);
      const sorted = [...events];
      sorted.splice(place < 0 ? events.length : place, 0, event);
      this._events.set(id, sorted);
    }
  }

  private _changed(): void {
    this._listeners.forEach(listener => listener());
  }
}

/** How many jobs move or wait for somebody. */
export function countLive(jobs: readonly Job[]): number {
  return jobs.filter(job => ['live', 'wait'].includes(describeState(job.state).tone)).length;
}
