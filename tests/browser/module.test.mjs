// module.test.mjs: client/audience.js in a real browser: leaving, coming back, and not coming back.
//
// The pages here are of another origin than the daemon, as an event's page is.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ALONE, Meter, launch, openPage, remains, serve, until } from './harness.mjs';

const MODULE = new URL('../../client/audience.js', import.meta.url);

/** Joins what is behind the #, and keeps what it is told in `seen`. */
const PAGE = `<!doctype html><script type="module">
  import { audience } from '/audience.js';
  const seen = window.seen = { opens: 0, counts: [], messages: [], errors: [] };
  const member = window.member = audience(location.hash.slice(1));
  member.addEventListener('open', () => { seen.opens += 1; });
  member.addEventListener('error', ({ detail }) => seen.errors.push(detail));
  window.unsubscribe = member.onCount((total) => seen.counts.push(total));
  member.onMessage((message) => seen.messages.push(message));
</script>`;

const ANY_ORIGIN = { 'Access-Control-Allow-Origin': '*' };

/** Three times the longest wait after which the daemon has a page come back. */
const RETRIES_MS = 1_500;

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

test('counts are numbers, messages come as they were sent', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await join(t, meter.url('audience', '/test'));
  await told(page, 'the count', (seen) => seen.counts.includes(1));
  await meter.notify('test', 'chat', 'a=b%20c');
  await meter.notify('test', 'empty', '');
  await told(page, 'both messages', (seen) => seen.messages.length === 2);
  assert.deepEqual(await page.evaluate(() => window.seen.messages), [
    { service: 'chat', text: 'a=b%20c' }, { service: 'empty', text: '' },
  ]);
  assert.deepEqual(await page.evaluate(() => [window.member.total, window.member.state]), [1, 'open']);
  assert.deepEqual(await page.evaluate(() => window.seen.errors), []);
});

test('close() leaves, and what was unsubscribed is not called', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await join(t, meter.url('audience', '/test'));
  await told(page, 'the count', (seen) => seen.counts.includes(1));
  await page.evaluate(() => window.unsubscribe());
  await join(t, meter.url('audience', '/test'));
  await until('the total to become 2', () => page.evaluate(() => window.member.total === 2));
  assert.deepEqual(await page.evaluate(() => window.seen.counts.filter((total) => total !== 1)), []);
  await page.evaluate(() => window.member.close());
  await until('one member to be left', async () => await meter.members('test') === 1);
  assert.equal(await page.evaluate(() => window.member.state), 'closed');
});

test('a daemon that was killed and started again has its members back', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const pages = [await join(t, meter.url('audience', '/test')), await join(t, meter.url('audience', '/test'))];
  await told(pages[0], 'the count', (seen) => seen.counts.includes(2));
  await meter.stop('SIGKILL');
  for (const page of pages) await told(page, 'the browser to have tried in vain', (seen) => seen.errors.length >= 2);
  await meter.run();
  for (const page of pages) await told(page, 'to be back', (seen) => seen.opens === 2 && seen.counts.at(-1) === 2);
  assert.equal((await meter.stats('test')).connections, 2);
  assert.equal(await pages[0].evaluate(() => window.seen.errors.some(({ final }) => final)), false);
});

test('pages that are let go come back to a sibling', async (t) => {
  const meter = await Meter.start(t, ...ALONE, '--drain-delay', '1');
  const pages = [await join(t, meter.url('audience', '/test')), await join(t, meter.url('audience', '/test'))];
  await told(pages[0], 'the count', (seen) => seen.counts.includes(2));
  const sibling = await meter.sibling(t);
  await meter.stop('SIGTERM');
  for (const page of pages) {
    await told(page, 'to be back', (seen) => seen.opens >= 2 && seen.counts.at(-1) === 2);
    assert.equal(await page.evaluate(() => window.seen.errors.some(({ final }) => final)), false);
  }
  assert.equal(await sibling.members('test'), 2);
});

test('a left page is counted out within a second, and in again when it is shown again', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await join(t, meter.url('audience', '/test'));
  await told(page, 'the count', (seen) => seen.counts.includes(1));
  await page.evaluate(() => {
    window.addEventListener('pageshow', ({ persisted }) => { window.seen.persisted = persisted; });
  });
  const elsewhere = await serve(t, { '/': '<!doctype html>elsewhere' });
  await page.goto(elsewhere.url('/'), { waitUntil: 'commit' });
  await until('the left page to be counted out', async () => await meter.members('test') === 0, 1_000);
  // page.goBack() waits for a load, and a page out of the cache is not loaded.
  await page.evaluate(() => { setTimeout(() => history.back()); });
  await until('the page to be counted in again', async () => await meter.members('test') === 1);
  await told(page, 'to be back, the same page as before', (seen) => seen.persisted && seen.opens === 2);
});

test('a uuid that joins elsewhere ends the first page for good', async (t) => {
  const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
  const one = await join(t, meter.url('audience', '/test/somebody'));
  await told(one, 'the count', (seen) => seen.counts.includes(1));
  const two = await join(t, meter.url('audience', '/test/somebody'));
  await told(two, 'the count', (seen) => seen.counts.includes(1));
  await until('the first to be closed', () => one.evaluate(() => window.member.state === 'closed'));
  assert.match(await one.evaluate(() => window.seen.errors.at(-1).message), /joined anew elsewhere/);
  await remains({ members: 1, connections: 2 }, () => meter.stats('test'), RETRIES_MS);
  assert.deepEqual(await two.evaluate(() => [window.member.state, window.seen.errors.length]), ['open', 0]);
});

test('a proxy whose daemon is away for a moment is no farewell', async (t) => {
  const streams = [];
  let away = false;
  const server = await serve(t, {
    '/test/somebody': (_, response) => {
      if (away) return response.writeHead(502).end();
      streams.push(stream(response, `retry: 100\n\ndata: ${streams.length + 1}\n\n`));
    },
  });
  const page = await join(t, server.url('/test/somebody'));
  await told(page, 'the first count', (seen) => seen.counts.includes(1));
  away = true;
  streams[0].end();
  await told(page, 'the browser to have given up', (seen) => seen.errors.length >= 2);
  away = false;
  await told(page, 'to be back', (seen) => seen.opens === 2 && seen.counts.at(-1) === 2);
});

for (const [what, answer] of Object.entries({
  'a wrong address': (response) => response.writeHead(404),
  'an ordinary page': (response) => response.writeHead(200, { ...ANY_ORIGIN, 'Content-Type': 'text/html' }),
  'an origin that is not allowed': (response) => response.writeHead(200, { 'Content-Type': 'text/event-stream' }),
})) {
  test(`${what} is a clear error, and asked only once`, async (t) => {
    const server = await serve(t, { '/test': (_, response) => answer(response).end('data: 1\n\n') });
    const page = await join(t, server.url('/test'));
    await until('the member to be closed', () => page.evaluate(() => window.member.state === 'closed'));
    await remains(1, () => server.requests['/test'], 500);
    const errors = await page.evaluate(() => window.seen.errors);
    assert.deepEqual(errors, [{ final: true, message: errors[0].message }]);
    assert.match(errors[0].message, /\/test is no event to join: /);
  });
}

test('what is neither count nor message is told as an error, and harms nothing', async (t) => {
  const server = await serve(t, {
    '/test': (_, response) => stream(response, 'data: 1\n\ndata: nonsense\n\ndata: -1\n\ndata: 1.5\n\ndata: 2\n\n'),
  });
  const page = await join(t, server.url('/test'));
  await told(page, 'the counts', (seen) => seen.counts.join() === '1,2');
  assert.deepEqual(await page.evaluate(() => window.seen.errors.map(({ final }) => final)), [false, false, false]);
});

test('a failing server is asked again after growing waits, as it wished or more', async (t) => {
  let first;
  const server = await serve(t, {
    '/test': (_, response) => {
      if (first) return response.writeHead(502).end();
      first = stream(response, 'retry: 300\n\ndata: 1\n\n');
    },
  });
  const page = await join(t, server.url('/test'), () => {
    // The waits are noted, not waited, and chance gives its most.
    window.waits = [];
    const { setTimeout } = window;
    window.setTimeout = (callback, ms) => setTimeout(callback, window.waits.push(ms) > 8 ? ms : 0);
    Math.random = () => 1;
  });
  await told(page, 'a count', (seen) => seen.counts.includes(1));
  first.end();
  const waits = await until('nine waits', () => page.evaluate(() => window.waits.length >= 9 && window.waits));
  const [floor] = waits.map((ms) => ms - 1_000);
  assert.ok(floor >= 290 && floor < 5_000, `a floor of ${floor} ms, the server wished 300`);
  assert.deepEqual(waits.map((ms) => Math.round(ms - floor)), [1e3, 2e3, 4e3, 8e3, 16e3, 3e4, 3e4, 3e4, 3e4]);
});

/** A page that has joined `url`, or is about to. */
async function join(t, url, script = () => {}) {
  const site = await serve(t, { '/': PAGE, '/audience.js': MODULE });
  const page = await openPage(t, browser);
  await page.addInitScript(script);
  await page.goto(`${site.url('/')}#${url}`);
  await page.waitForFunction(() => window.member);
  return page;
}

/** Waits until what the page was told is as it should be, over navigations too. */
async function told(page, what, condition) {
  let seen;
  await until(what, async () => {
    seen = await page.evaluate(() => window.seen).catch((error) => {
      if (!error.message.includes('context was destroyed')) throw error;
    });
    return seen && condition(seen);
  }).catch((error) => { throw new Error(`${error.message}; seen: ${JSON.stringify(seen)}`); });
}

function stream(response, text) {
  response.writeHead(200, { ...ANY_ORIGIN, 'Content-Type': 'text/event-stream' }).write(text);
  return response;
}
