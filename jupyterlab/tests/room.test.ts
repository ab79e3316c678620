import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoomModel } from '../src/models/room';
import type { Job, LiveLine } from '../src/models/wire';
import type { CleanRoomClient } from '../src/service/client';
import { event, info, job } from './samples';

/** A service that says what a test wants; each stream is one list of lines. */
class Service {
  pages: Job[][] = [[]];
  streams: (LiveLine[] | 'broken')[] = [];
  asked = 0;

  info = async () => info;
  jobs = async (cursor: number | null = null) => {
    const page = cursor ?? 0;
    this.asked += 1;
    return {
      jobs: this.pages[page] ?? [],
      next_cursor: page + 1 < this.pages.length ? page + 1 : null
    };
  };
  async *live(): AsyncGenerator<LiveLine> {
    const stream = this.streams.shift() ?? [];
    if (stream === 'broken') {
      throw new TypeError('network error');
    }
    yield* stream;
  }
}

function room(service: Service): RoomModel {
  return new RoomModel(service as unknown as CleanRoomClient, async () => undefined);
}

const named = (number: number, changes: Partial<Job> = {}): Job =>
  job({ id: `job-${number}`, ...changes });

/** Follow until the service has nothing more to say. */
async function follow(model: RoomModel, service: Service): Promise<string[]> {
  const stop = new AbortController();
  const seen: string[] = [];
  model.onChange(() => {
    seen.push(model.connection);
    if (!service.streams.length && model.connection === 'reconnecting') {
      stop.abort();
    }
  });
  await model.follow(stop.signal);
  return seen;
}

test('older jobs come page by page, each once', async () => {
  const service = new Service();
  service.pages = [[named(3), named(2)], [named(2), named(1)]];
  const model = room(service);
  await model.load();
  assert.ok(model.hasMore);
  await Promise.all([model.loadMore(), model.loadMore()]);
  assert.deepEqual(
    model.jobs.map(({ id }) => id),
    ['job-3', 'job-2', 'job-1']
  );
  assert.equal(service.asked, 2);
  assert.ok(!model.hasMore);
});

test('a job submitted elsewhere comes on top', async () => {
  const service = new Service();
  service.pages = [[named(1)]];
  service.streams = [[{ kind: 'job', job: named(2) }]];
  const model = room(service);
  await follow(model, service);
  assert.equal(model.job('job-2')?.state, 'running');
});

test('a broken stream says so, loads again, and goes on', async () => {
  const service = new Service();
  service.pages = [[named(1)]];
  service.streams = [[{ kind: 'alive' }], 'broken', [{ kind: 'alive' }]];
  const seen = await follow(room(service), service);
  assert.ok(seen.indexOf('live') < seen.indexOf('reconnecting'));
  assert.ok(seen.lastIndexOf('live') > seen.indexOf('reconnecting'));
  assert.ok(service.asked >= 3);
});

test('an end is told once, and only of jobs that were seen alive', async () => {
  const service = new Service();
  service.pages = [[named(1)]];
  const over = named(1, { state: 'released', version: 2 });
  service.streams = [
    [
      { kind: 'job', job: over },
      { kind: 'job', job: over },
      { kind: 'job', job: named(9, { state: 'failed' }) }
    ]
  ];
  const model = room(service);
  const ended: string[] = [];
  model.onEnded(({ id }) => ended.push(id));
  await follow(model, service);
  assert.deepEqual(ended, ['job-1']);
});

test('an older answer never replaces a newer one', () => {
  const model = room(new Service());
  model.take(named(1, { state: 'released', version: 5 }));
  model.take(named(1, { state: 'running', version: 4 }));
  assert.equal(model.job('job-1')?.state, 'released');
});

test('events are kept in order, each once', async () => {
  const service = new Service();
  const line = (seq: number): LiveLine => ({ kind: 'event', job_id: 'job-1', event: event(seq) });
  service.streams = [[line(2), line(1), line(2), line(3)]];
  const model = room(service);
  await follow(model, service);
  assert.deepEqual(
    model.events('job-1').map(({ seq }) => seq),
    [1, 2, 3]
  );
});
