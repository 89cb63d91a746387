// clients.test.mjs: event-stream clients of others, against the daemon: the npm package eventsource, by itself and under
// client/audience.js, and Python's httpx-sse. No browser is needed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EventSource } from 'eventsource';
import { ALONE, Meter, remains, serve, until } from './harness.mjs';

// Node.js 18 has all that the module needs but this.
globalThis.CustomEvent ??= class CustomEvent extends Event {
  constructor(type, { detail = null } = {}) {
    super(type);
    this.detail = detail;
  }
};
const { audience } = await import('../../client/audience.js');

const PYTHON_MODULES = fileURLToPath(new URL('.python', import.meta.url));
const PYTHON_CLIENT = fileURLToPath(new URL('client.py', import.meta.url));

/** Three times the longest wait after which the daemon has a client come back. */
const RETRIES_MS = 1_500;

describe('clients of others', { concurrency: 3 }, () => {
  test('npm eventsource: counts, messages, a restart', async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const { source, told } = open(t, meter.url('audience', '/test'));
    await until('the count', () => told.includes('1'));
    await meter.notify('test', 'chat', 'a=b%20c');
    await until('the message', () => told.includes('chat=a=b%20c'));
    await meter.stop('SIGKILL');
    told.length = 0;
    await meter.run();
    await until('the count after the restart', () => told.includes('1'));
    source.close();
    await until('it to be gone', async () => await meter.members('test') === 0);
  });

  test('npm eventsource: a uuid that joins elsewhere ends the first for good', async (t) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const url = meter.url('audience', '/test/somebody');
    const one = open(t, url);
    await until('the count', () => one.told.includes('1'));
    const two = open(t, url);
    await until('the count', () => two.told.includes('1'));
    await until('the first to be ended', () => one.source.readyState === EventSource.CLOSED);
    await remains({ members: 1, connections: 2 }, () => meter.stats('test'), RETRIES_MS);
    for (const { told } of [one, two]) assert.deepEqual(told.filter((count) => count !== '1'), []);
  });

  test('audience.js in Node.js, with npm eventsource: counts, a restart, for await', async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const member = join(t, meter.url('audience', '/test'), { shared: true, pauseWhenHidden: true });
    for await (const total of member) {
      assert.equal(total, 1);
      break;
    }
    await meter.stop('SIGKILL');
    await until('it to be lost', () => member.state === 'connecting');
    await meter.run();
    await until('it to be back', () => member.state === 'open');
    member.close();
    await until('it to be gone', async () => await meter.members('test') === 0);
  });

  test('audience.js in Node.js: a uuid, a page and a wrong address', async (t) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const one = join(t, meter.url('audience', '/test'), { uuid: 'some body' });
    await until('it to be open', () => one.state === 'open');
    await fetch(meter.url('audience', '/test/some%20body')); // who asks for no stream says that it leaves
    await until('it to be gone', async () => await meter.members('test') === 0);

    const server = await serve(t, { '/page': '<!doctype html>' });
    for (const [path, why] of Object.entries({ '/none': /it answers 404$/, '/page': /not an event stream$/ })) {
      const member = join(t, server.url(path));
      await until('the end', () => member.state === 'closed');
      assert.equal(member.errors.length, 1);
      assert.match(member.errors[0].message, why);
      await remains(1, () => server.requests[path], 500);
    }
  });

  test('Python httpx-sse: counts, messages, a farewell', async (t) => {
    assert.ok(existsSync(PYTHON_MODULES), 'python3 -m pip install --target tests/browser/.python -r tests/browser/requirements.txt');
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const url = meter.url('audience', '/test/somebody');
    const client = spawn('python3', [PYTHON_CLIENT, url], {
      env: { ...process.env, PYTHONPATH: PYTHON_MODULES }, stdio: ['pipe', 'pipe', 'inherit'],
    });
    // Closed, and not only ended: then all that it wrote has been read.
    const gone = once(client, 'close');
    t.after(() => client.kill('SIGKILL'));
    const events = [];
    createInterface({ input: client.stdout }).on('line', (line) => events.push(JSON.parse(line)));
    const hears = (data) => until(data, () => events.find((event) => event[1] === data));
    const [kind, , id, retry] = await hears('1');
    assert.deepEqual([kind, id, events.length], ['message', '', 1], 'the first count comes with the retry');
    assert.ok(retry >= 200 && retry <= 500, `${retry} ms`);
    const other = open(t, meter.url('audience', '/test'));
    await hears('2');
    await meter.notify('test', 'chat', 'a=b%20c');
    assert.deepEqual(await hears('chat=a=b%20c'), ['message', 'chat=a=b%20c', '', null]);
    // Somebody joins with the same uuid: the stream ends, and its last word is the id of the farewell.
    open(t, url);
    assert.deepEqual(await gone, [0, null]);
    assert.equal(events.at(-1)[2], 'farewell');
    await until('two to be there', async () => await meter.members('test') === 2);
    other.source.close();
  });
});

/** An EventSource and all it is told. */
function open(t, url) {
  const source = new EventSource(url);
  t.after(() => source.close());
  const told = [];
  source.onmessage = ({ data }) => told.push(data);
  return { source, told };
}

/** A member that keeps what goes wrong. */
function join(t, url, options = {}) {
  const member = audience(url, { EventSource, ...options });
  t.after(() => member.close());
  member.errors = [];
  member.onError((error) => member.errors.push(error));
  return member;
}
