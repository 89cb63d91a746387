// jquery.test.mjs: client/jquery.audience.js in a real browser, with jQuery of each age, by both its transports.
//
// The plugin is loaded from the audience port, as a page of 2011 would after a change of the address alone.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ALONE, Meter, launch, openPage, remains, serve, shows, until } from './harness.mjs';

const JQUERY = {
  '1.7.2': new URL('node_modules/jquery1/tmp/jquery.js', import.meta.url),
  '3.7.1': new URL('node_modules/jquery3/dist/jquery.min.js', import.meta.url),
  '4.0.0': new URL('node_modules/jquery4/dist/jquery.min.js', import.meta.url),
};
const PLUGIN = new URL('../../client/jquery.audience.js', import.meta.url);
const TRANSPORTS = { EventSource: () => {}, XMLHttpRequest: () => { delete window.EventSource; } };

/** Three times the longest wait after which the daemon has a page come back. */
const RETRIES_MS = 1_500;

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

for (const [transport, script] of Object.entries(TRANSPORTS)) {
  for (const version of Object.keys(JQUERY)) {
    test(`jQuery ${version} over ${transport}: the total, messages, a restart, close()`, async (t) => {
      const meter = await Meter.start(t, ...ALONE);
      const plugin = meter.url('audience', '/client/jquery.audience.js');
      const page = await join(t, { version, script, plugin, url: meter.url('audience', '/test') });
      assert.equal(await page.evaluate(() => jQuery.fn.jquery), version);
      assert.equal(await page.evaluate(() => 'EventSource' in window), transport === 'EventSource');
      await shows(page, '#total', '1');
      await meter.notify('test', 'chat', 'a=b%20c');
      const told = await until('the message', async () => {
        const all = await page.evaluate(() => window.progress);
        return all.some(([data]) => data.includes('=')) && all;
      });
      assert.deepEqual(told.at(0), ['1', { total: 1 }]);
      const message = told.find(([data]) => data.includes('='));
      assert.deepEqual(message, ['chat=a=b%20c', { service: 'chat', text: 'a=b%20c' }]);

      await meter.stop('SIGKILL');
      await meter.run();
      await until('the page to be back', async () => await meter.members('test') === 1);
      await shows(page, '#total', '1');
      assert.equal(await page.evaluate(() => window.member.state()), 'pending');

      await page.evaluate(() => window.member.close());
      await until('the page to have left', async () => await meter.members('test') === 0);
      assert.equal(await page.evaluate(() => window.member.state()), 'resolved');
      await remains({ members: 0, connections: 1 }, () => meter.stats('test'), 1_000);
      assert.deepEqual(page.complaints, []);
    });
  }

  test(`over ${transport}: a count that comes before the document is there is told when it is`, async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const site = await serve(t, {
      '/jquery.js': JQUERY['3.7.1'],
      '/jquery.audience.js': PLUGIN,
      '/': async (_, response) => {
        response.writeHead(200, { 'Content-Type': 'text/html' });
        response.write(`<!doctype html>
        <script src="/jquery.js"></script>
        <script src="/jquery.audience.js"></script>
        <script>
          $.audience('${meter.url('audience', '/test')}').progress(function (total) {
            document.getElementById('total').innerHTML = total;
          });
        </script>`);
        await until('the member to be counted', async () => await meter.members('test') === 1);
        response.end('<span id="total">-</span>');
      },
    });
    const page = await openPage(t, browser);
    await page.addInitScript(script);
    await page.goto(site.url('/'));
    await shows(page, '#total', '1');
    assert.deepEqual(page.complaints, []);
  });

  test(`over ${transport}: two events in one page`, async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await join(t, { script, url: meter.url('audience', '/one') });
    await page.evaluate((url) => { window.other = $.audience(url); }, meter.url('audience', '/two'));
    await until('one member each', async () => await meter.members('one') === 1 && await meter.members('two') === 1);
    await page.evaluate(() => window.other.close());
    await until('the second to be left', async () => await meter.members('two') === 0);
    assert.equal(await meter.members('one'), 1);
  });

  test(`over ${transport}: a uuid that joins elsewhere ends the first page for good`, async (t) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const url = meter.url('audience', '/test/somebody');
    const one = await join(t, { script, url });
    await shows(one, '#total', '1');
    const two = await join(t, { script, url });
    await until('the first to be rejected', () => one.evaluate(() => window.member.state() === 'rejected'));
    assert.match(await one.evaluate(() => window.failure), /joined anew elsewhere$/);
    await remains({ members: 1, connections: 2 }, () => meter.stats('test'), RETRIES_MS);
    assert.equal(await two.evaluate(() => window.member.state()), 'pending');
  });

  test(`over ${transport}: a proxy whose daemon is away for a moment is no farewell`, async (t) => {
    const streams = [];
    let refusals = 0;
    const server = await serve(t, {
      '/test/somebody': (_, response) => {
        // One for the page that comes back, one for the question whether it was sent away.
        if (streams.length === 1 && refusals < 2) {
          refusals += 1;
          return response.writeHead(502).end();
        }
        response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'text/event-stream' });
        response.write(`retry: 100\n\ndata: ${streams.push(response)}\n\n`);
      },
    });
    const page = await join(t, { script, url: server.url('/test/somebody') });
    await shows(page, '#total', '1');
    streams[0].end();
    await shows(page, '#total', '2');
    assert.equal(await page.evaluate(() => window.member.state()), 'pending');
  });

  test(`over ${transport}: a left page is counted out within a second`, async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await join(t, { script, url: meter.url('audience', '/test') });
    await shows(page, '#total', '1');
    const elsewhere = await serve(t, { '/': '<!doctype html>elsewhere' });
    await page.goto(elsewhere.url('/'), { waitUntil: 'commit' });
    await until('the left page to be counted out', async () => await meter.members('test') === 0, 1_000);
    await page.evaluate(() => { setTimeout(() => history.back()); });
    await until('the page to be counted in again', async () => await meter.members('test') === 1);
  });

  test(`over ${transport}: a wrong address is rejected, and asked only once`, async (t) => {
    const server = await serve(t, {
      '/test': (_, response) => response.writeHead(404, { 'Access-Control-Allow-Origin': '*' }).end(),
    });
    const page = await join(t, { script, url: server.url('/test') });
    await until('the promise to be rejected', () => page.evaluate(() => window.member.state() === 'rejected'));
    assert.match(await page.evaluate(() => window.failure), /\/test is no event to join: /);
    await remains(1, () => server.requests['/test'], 500);
  });

  test(`over ${transport}: a failing server is asked again after growing waits, as it wished or more`, async (t) => {
    let first;
    const server = await serve(t, {
      '/test': (_, response) => {
        if (first) return response.writeHead(502).end();
        first = response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'text/event-stream' });
        first.write('retry: 300\n\ndata: 1\n\n');
      },
    });
    const page = await join(t, {
      url: server.url('/test'),
      // The waits are noted, not waited, and chance gives its most.
      script: `(${script})();(${() => {
        window.waits = [];
        const { setTimeout } = window;
        window.setTimeout = (callback, ms) => setTimeout(callback, window.waits.push(ms) > 8 ? ms : 0);
        Math.random = () => 1;
      }})()`,
    });
    await shows(page, '#total', '1');
    await page.evaluate(() => { window.waits.length = 0; });
    first.end();
    const waits = await until('nine waits', () => page.evaluate(() => window.waits.length >= 9 && window.waits));
    const floor = waits[1] - 2_000;
    assert.ok(floor >= 290 && floor < 5_000, `a floor of ${floor} ms, the server wished 300`);
    assert.deepEqual(waits.map((ms) => Math.round(ms - floor)), [1e3, 2e3, 4e3, 8e3, 16e3, 3e4, 3e4, 3e4, 3e4]);
  });
}

/** A page with what the README of 2011 says, which has joined `url` or is about to. */
async function join(t, { url, version = '3.7.1', script = () => {}, plugin = '/jquery.audience.js' }) {
  const site = await serve(t, {
    '/jquery.js': JQUERY[version],
    '/jquery.audience.js': PLUGIN,
    '/': `<!doctype html>
    <script src="/jquery.js"></script>
    <script src="${plugin}"></script>
    <script>
    window.member = $.audience('${url}').progress(function(total)
    {
        document.getElementById("total").innerHTML = total;
    });
    window.progress = [];
    member.progress(function (data, parsed) { window.progress.push([data, parsed]); });
    member.fail(function (message) { window.failure = message; });
    </script>

    Connected users <span id="total">-</span>`,
  });
  const page = await openPage(t, browser);
  await page.addInitScript(script);
  await page.goto(site.url('/'));
  return page;
}
