import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CleanRoomClient, RoomError } from '../src/service/client';
import { lines } from '../src/service/lines';

interface Sent {
  path: string;
  init: RequestInit;
}

function answering(body: BodyInit | null, status = 200): [CleanRoomClient, Sent[]] {
  const sent: Sent[] = [];
  const client = new CleanRoomClient({
    base: '/manatee',
    send: async (path, init) => {
      sent.push({ path, init });
      return new Response(body, { status });
    }
  });
  return [client, sent];
}

test('a page of jobs is asked for by its cursor', async () => {
  const [client, sent] = answering('{"jobs":[],"next_cursor":null}');
  await client.jobs();
  await client.jobs(7);
  assert.deepEqual(
    sent.map(({ path }) => path),
    ['jobs', 'jobs?cursor=7']
  );
});

test('ids and paths are escaped', async () => {
  const [client, sent] = answering('{}');
  await client.job('../x?y');
  assert.equal(sent[0]!.path, 'jobs/..%2Fx%3Fy');
  assert.equal(client.fileUrl('j', 'a b&c'), '/manatee/jobs/j/file?path=a%20b%26c');
});

test('a refusal keeps its message, its hint and its code', async () => {
  const [client] = answering('{"message":"No.","hint":"Ask.","code":"forbidden"}', 403);
  await assert.rejects(client.info(), (error: RoomError) => {
    assert.deepEqual(
      [error.message, error.hint, error.code, error.status],
      ['No.', 'Ask.', 'forbidden', 403]
    );
    return true;
  });
});

test('a missing server part is told as such', async () => {
  const [client] = answering('<html>', 404);
  await assert.rejects(client.info(), /server part of the ManaTEE extension does not answer/);
});

test('a server that is away is told as such', async () => {
  const client = new CleanRoomClient({
    base: '',
    send: () => Promise.reject(new TypeError('failed to fetch'))
  });
  await assert.rejects(client.info(), /JupyterLab’s server did not answer/);
});

test('lines are whole, however they were cut', async () => {
  const whole = new TextEncoder().encode('{"a":"ü"}\n\n{"b":1}\nrest');
  for (const size of [1, 2, 5, 100]) {
    async function* cut(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < whole.length; at += size) {
        yield whole.slice(at, at + size);
      }
    }
    const found: string[] = [];
    for await (const line of lines(cut())) {
      found.push(line);
    }
    assert.deepEqual(found, ['{"a":"ü"}', '{"b":1}'], `pieces of ${size}`);
  }
});

test('the live stream gives what the server says, and ends with it', async () => {
  const [client] = answering('{"kind":"alive"}\n{"kind":"alive"}\n');
  const found = [];
  for await (const line of client.live(new AbortController().signal)) {
    found.push(line.kind);
  }
  assert.deepEqual(found, ['alive', 'alive']);
});
