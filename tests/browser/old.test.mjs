// old.test.mjs: the classic scripts in a browser that is as old as can be made of a new one.
//
// What IE 10 and 11 and old Android lack is taken away before the page's scripts run: of Chromium all, for the drivers of the
// others need it themselves, and of all three engines EventSource. That the scripts are in a syntax that those can read is
// tested in package.test.mjs.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { everyEngine } from './engines.mjs';
import { ALONE, ANY_ORIGIN, Meter, jqueryPage, noteWaits, remains, scriptOf, serve, shows, stream, until } from './harness.mjs';

const CLASSIC = new URL('../../client/audience.min.js', import.meta.url);

/** Three times the longest wait after which the daemon has a page come back. */
const RETRIES_MS = 1_500;

/** In the page: nothing of this is in IE 10. A page of it is read by text alone, for Playwright's own script is broken. */
function growOld() {
  const { iterator } = Symbol;
  [Array, String, NodeList, Uint32Array].forEach(({ prototype }) => { delete prototype[iterator]; });
  delete Navigator.prototype.locks;
  ['find', 'findIndex', 'includes', 'fill', 'flat', 'flatMap', 'at', 'keys', 'values', 'entries'].forEach((name) => {
    delete Array.prototype[name];
  });
  ['startsWith', 'endsWith', 'includes', 'repeat', 'padStart', 'at'].forEach((name) => delete String.prototype[name]);
  ['assign', 'entries', 'values', 'setPrototypeOf', 'getOwnPropertySymbols', 'is', 'fromEntries'].forEach((name) => {
    delete Object[name];
  });
  ['remove', 'append', 'prepend', 'closest', 'matches', 'replaceWith'].forEach((name) => delete Element.prototype[name]);
  delete NodeList.prototype.forEach;
  delete Array.from;
  delete Array.of;
  delete Number.isInteger;
  delete Math.trunc;
  delete performance.now;
  [
    'EventSource', 'Promise', 'fetch', 'BroadcastChannel', 'customElements', 'URL', 'URLSearchParams', 'EventTarget',
    'CustomEvent', 'Event', 'Reflect', 'Proxy', 'Map', 'Set', 'WeakMap', 'WeakSet', 'AbortController', 'AbortSignal',
    'globalThis', 'queueMicrotask', 'crypto', 'TextDecoder', 'Headers', 'Request', 'Response', 'BigInt', 'Symbol',
  ].forEach((name) => {
    delete window[name];
    if (name in window) document.title += ` ${name} is still there`;
  });
}

const oldest = (what, body) => everyEngine(what, body, ['chromium']);

describe('old browsers', { concurrency: 3 }, () => {
  oldest('the classic script counts, tells messages and errors, comes back, closes, and fills elements', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await classicPage(t, engine, `
      <audience-meter id="element" src="${meter.url('audience', '/element')}">-</audience-meter>
      <b id="total">-</b><b id="said">-</b><b id="error">-</b><b id="state">-</b>
      <button id="close">Close</button>
      <script>
        var show = function (id, text) { document.getElementById(id).innerHTML = text; };
        var member = audience('${meter.url('audience', '/test')}', { shared: true, uuid: true });
        member.onCount(function () { throw new Error('of the page'); });
        member.onCount(function (total) { show('total', total + 1); });
        member.onMessage(function (message) { show('said', message.service + ':' + message.text); });
        member.addEventListener('state', function (event) { show('state', event.detail); });
        var audiences = ['ftp://h/test', '/none'].map(function (address) { return audience(address); });
        audiences[1].onError(function (error) { show('error', error.message); });
        document.getElementById('close').onclick = function () { member.close(); };
      </script>`);
    await shows(page, '#total', '2');
    await shows(page, '#element', '1');
    assert.equal(await page.driver.title(), '');
    await until('the error', async () => /\/none is no event to join: it answers 404$/.test(await page.textContent('#error')));
    await meter.notify('test', 'chat', 'a=b%20c');
    await shows(page, '#said', 'chat:a=b%20c');

    await meter.stop('SIGKILL');
    await shows(page, '#state', 'connecting');
    await meter.run();
    await shows(page, '#state', 'open');
    await until('both to be back', async () => await meter.members('test') === 1 && await meter.members('element') === 1);

    await page.driver.click('#close');
    await until('the page to have left', async () => await meter.members('test') === 0);
    await remains({ members: 0, connections: 1 }, () => meter.stats('test'), 1_000);
    assert.deepEqual([...new Set(page.complaints)], ['Error: of the page']);
  });

  oldest('jQuery 1.7: the total, and a restart', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const plugin = meter.url('audience', '/client/jquery.audience.js');
    const page = await jqueryPage(t, engine, {
      version: '1.7.2', script: growOld, plugin, url: meter.url('audience', '/test'),
    });
    await shows(page, '#total', '1');
    assert.equal(await page.driver.title(), '');
    await meter.stop('SIGKILL');
    await meter.run();
    await until('the page to be back', async () => await meter.members('test') === 1);
    assert.deepEqual(page.complaints, []);
  });

  everyEngine('a response is cut before it grows large, and nobody sees more of it than must be', async (t, engine) => {
    let streams = 0;
    let closed = 0;
    const server = await serve(t, {
      '/test': (request, response) => {
        streams += 1;
        request.socket.on('close', () => { closed += 1; });
        // 70 kB, and then silence: it is not the end that leads to the next one.
        stream(response, `data: ${100 + streams}\n\n${`data: long=${'x'.repeat(4_988)}\n\n`.repeat(14)}`);
      },
    });
    const page = await join(t, engine, server.url('/test'), () => {
      delete window.EventSource;
      window.lengths = [];
      const { abort } = XMLHttpRequest.prototype;
      XMLHttpRequest.prototype.abort = function () {
        window.lengths.push(this.responseText.length);
        abort.call(this);
      };
    });
    await until('three renewals', () => closed >= 3);
    const lengths = await page.evaluate(() => window.lengths);
    for (const length of lengths) assert.ok(length > 64 * 1024 && length < 71_000, `cut after ${length}`);
    assert.deepEqual(await page.evaluate(() => [window.seen.opens, window.seen.errors]), [1, []]);
    const counts = await page.evaluate(() => window.seen.counts);
    assert.deepEqual(counts.slice(0, 3), [101, 102, 103]);
  });

  everyEngine('to others a renewal is one who leaves and comes at once', async (t, engine) => {
    const meter = await Meter.start(t, '-w', '1', '--notify-min-delay', '0.5');
    const url = meter.url('audience', '/test');
    const old = await join(t, engine, url, withoutEventSource);
    const other = await join(t, engine, url);
    await until('both to be told', () => other.evaluate(() => window.seen.counts.at(-1) === 2));
    const before = await other.evaluate(() => window.seen.counts.length);
    for (let sent = 0; sent < 10; sent += 1) await meter.notify('test', 'long', 'x'.repeat(7_000));
    await until('the renewal', async () => (await meter.stats('test')).connections === 3);
    await until('both to be there', async () => await meter.members('test') === 2);
    await remains(2, () => meter.members('test'), 700);
    await until('the other to know', () => other.evaluate(() => window.seen.counts.at(-1) === 2));
    // Mostly nothing is told of it. The leave and the join are two connections, and the daemon may hear of one first.
    const told = await other.evaluate((from) => window.seen.counts.slice(from), before);
    assert.ok(told.filter((count) => count !== 2).length <= 1, `${told}`);
    assert.deepEqual(await old.evaluate(() => [window.seen.opens, window.seen.errors]), [1, []]);
  });

  everyEngine('a uuid that joins elsewhere ends the first page for good', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const url = meter.url('audience', '/test/somebody');
    const one = await join(t, engine, url, withoutEventSource);
    await until('the count', () => one.evaluate(() => window.seen.counts.includes(1)));
    await join(t, engine, url, withoutEventSource);
    await until('the first to be ended', () => one.evaluate(() => window.member.state === 'closed'));
    assert.match(await one.evaluate(() => window.seen.errors.at(-1).message), /joined anew elsewhere$/);
    await remains({ members: 1, connections: 2 }, () => meter.stats('test'), RETRIES_MS);
  });

  everyEngine('a left page is counted out within a second, and in again when it is shown again', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await join(t, engine, meter.url('audience', '/test'), withoutEventSource);
    await until('the count', async () => await meter.members('test') === 1);
    const elsewhere = await serve(t, { '/': '<!doctype html>elsewhere' });
    await page.goto(elsewhere.url('/'));
    await until('the left page to be counted out', async () => await meter.members('test') === 0, 1_000);
    await page.back();
    await until('the page to be counted in again', async () => await meter.members('test') === 1);
  });

  for (const [what, head] of Object.entries({
    'a wrong address': [404, ANY_ORIGIN], 'an ordinary page': [200, { ...ANY_ORIGIN, 'Content-Type': 'text/html' }],
  })) {
    everyEngine(`${what} is final, and only the reason is asked for`, async (t, engine) => {
      const server = await serve(t, { '/test': (_, response) => response.writeHead(...head).end() });
      const page = await join(t, engine, server.url('/test'), withoutEventSource);
      await until('the end', () => page.evaluate(() => window.member.state === 'closed'));
      assert.match(await page.evaluate(() => window.seen.errors[0].message), /\/test is no event to join: /);
      await remains(2, () => server.requests['/test'], 1_000);
    });
  }

  everyEngine('a failing server is asked again after growing waits, as it wished or more', async (t, engine) => {
    let first;
    const server = await serve(t, {
      '/test': (_, response) => {
        if (first) return response.writeHead(502).end();
        first = stream(response, 'retry: 300\n\ndata: 1\n\n');
      },
    });
    const page = await join(t, engine, server.url('/test'), `(${withoutEventSource})();(${noteWaits})();`);
    await until('the count', () => page.evaluate(() => window.seen.counts.includes(1)));
    first.end();
    const waits = await until('nine waits', () => page.evaluate(() => window.waits.length >= 9 && window.waits));
    const [floor] = waits.map((ms) => ms - 1_000);
    assert.ok(floor >= 290 && floor < 5_000, `a floor of ${floor} ms, the server wished 300`);
    assert.deepEqual(waits.map((ms) => Math.round(ms - floor)), [1e3, 2e3, 4e3, 8e3, 16e3, 3e4, 3e4, 3e4, 3e4]);
  });
});

function withoutEventSource() {
  delete window.EventSource;
}

/** A page of the oldest browser with the classic script and `body`. */
async function classicPage(t, engine, body) {
  const site = await serve(t, { '/audience.min.js': CLASSIC, '/': `<!doctype html>${scriptOf(growOld)}<script src="/audience.min.js"></script>${body}` });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  return page;
}

/** A page that has joined `url` by the classic script, or is about to. */
async function join(t, engine, url, script = '') {
  const site = await serve(t, {
    '/audience.min.js': CLASSIC,
    '/': `<!doctype html>${scriptOf(script)}<script src="/audience.min.js"></script><script>
      var seen = { opens: 0, counts: [], errors: [] };
      var member = audience('${url}');
      member.addEventListener('open', function () { seen.opens += 1; });
      member.onCount(function (total) { seen.counts.push(total); });
      member.onError(function (error) { seen.errors.push(error); });
    </script>`,
  });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  return page;
}
