// jquery.test.mjs: client/jquery.audience.js in a real browser, with jQuery of each age.
//
// It is an adapter; how the core behind it comes back is tested in module.test.mjs, without EventSource in old.test.mjs.
// The plugin is loaded from the audience port, as a page of 2011 would after a change of the address alone.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ALONE, JQUERY, Meter, jqueryPage, launch, openPage, remains, serve, shows, until } from './harness.mjs';

/** Three times the longest wait after which the daemon has a page come back. */
const RETRIES_MS = 1_500;

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

describe('jquery.audience.js', { concurrency: 3 }, () => {
  for (const version of Object.keys(JQUERY)) {
    test(`jQuery ${version}: the total, messages, a restart, close()`, async (t) => {
      const meter = await Meter.start(t, ...ALONE);
      const plugin = meter.url('audience', '/client/jquery.audience.js');
      const page = await join(t, { version, plugin, url: meter.url('audience', '/test') });
      assert.equal(await page.evaluate(() => jQuery.fn.jquery), version);
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

    test(`jQuery ${version}: two events in one page, with the options of the module`, async (t) => {
      const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
      const page = await join(t, { version, url: meter.url('audience', '/one') });
      await shows(page, '#total', '1');
      await page.evaluate((url) => {
        window.other = $.audience(url, { uuid: 'me' }).progress(() => {
          window.again ??= $.audience(url, { uuid: 'me' });
        }).fail((message) => { window.otherFailure = message; });
      }, meter.url('audience', '/two'));
      await until('the first of one id to be ended', () => page.evaluate(() => window.otherFailure));
      assert.match(await page.evaluate(() => window.otherFailure), /\/two\/me was joined anew elsewhere$/);
      await remains([1, 1], () => Promise.all([meter.members('one'), meter.members('two')]), 300);
      await page.evaluate(() => window.again.close());
      await until('the second event to be left', async () => await meter.members('two') === 0);
      assert.equal(await meter.members('one'), 1);
    });
  }

  test('a count that comes before the document is there is told when it is', async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const site = await serve(t, {
      '/jquery.js': JQUERY['3.7.1'],
      '/': async (_, response) => {
        response.writeHead(200, { 'Content-Type': 'text/html' });
        response.write(`<!doctype html>
        <script src="/jquery.js"></script>
        <script src="${meter.url('audience', '/client/jquery.audience.js')}"></script>
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
    await page.goto(site.url('/'));
    await shows(page, '#total', '1');
    assert.deepEqual(page.complaints, []);
  });

  test('a uuid that joins elsewhere rejects the first promise, for good', async (t) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const url = meter.url('audience', '/test/somebody');
    const one = await join(t, { url });
    await shows(one, '#total', '1');
    const two = await join(t, { url });
    await until('the first to be rejected', () => one.evaluate(() => window.member.state() === 'rejected'));
    assert.match(await one.evaluate(() => window.failure), /joined anew elsewhere$/);
    await remains({ members: 1, connections: 2 }, () => meter.stats('test'), RETRIES_MS);
    assert.equal(await two.evaluate(() => window.member.state()), 'pending');
  });

  test('a left page is counted out within a second, and in again when it is shown again', async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await join(t, { url: meter.url('audience', '/test') });
    await shows(page, '#total', '1');
    const elsewhere = await serve(t, { '/': '<!doctype html>elsewhere' });
    await page.goto(elsewhere.url('/'), { waitUntil: 'commit' });
    await until('the left page to be counted out', async () => await meter.members('test') === 0, 1_000);
    await page.evaluate(() => { setTimeout(() => history.back()); });
    await until('the page to be counted in again', async () => await meter.members('test') === 1);
  });

  for (const address of ['/none', 'ftp://h/test']) {
    test(`${address} is a wrong address and rejected`, async (t) => {
      const page = await join(t, { url: address });
      await until('the promise to be rejected', () => page.evaluate(() => window.member.state() === 'rejected'));
      assert.match(await page.evaluate(() => window.failure), /is no event to join: it answers 404$|is no address of an/);
    });
  }
});

async function join(t, options) {
  return jqueryPage(t, browser, options);
}
