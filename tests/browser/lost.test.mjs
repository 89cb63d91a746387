// lost.test.mjs: nobody is lost, and nobody is counted twice: a daemon that is away when the page comes, a stream that the
// browser or a proxy ends, and the way back to a page that was left; by every script of the client, in every engine.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { everyEngine } from './engines.mjs';
import { ALONE, JQUERY, Meter, remains, serve, until } from './harness.mjs';

const SCRIPTS = {
  ...Object.fromEntries(['audience.js', 'element.js', 'audience.min.js', 'jquery.audience.js'].map((name) => (
    [`/${name}`, new URL(`../../client/${name}`, import.meta.url)]))),
  '/jquery.js': JQUERY['3.7.1'],
  '/away': '<!doctype html><title>away</title>',
};

const joined = (script, options = '') => `${script}
  window.member = audience(url${options});
  member.onCount((total) => { document.getElementById('total').textContent = total; });
  member.onError(({ message, final }) => { if (final) window.finals.push(message); });`;
const module = (options) => `<script type="module">${joined('import { audience } from "/audience.js";', options)}</script>`;

/** What joins the address `url`, by its name. */
const WAYS = {
  module: module(),
  shared: module(', { shared: true }'),
  uuid: module(', { uuid: true }'),
  both: module(', { shared: true, uuid: true }'),
  watchful: module(', { silenceMs: 4000 }'),
  element: `<script type="module" src="/element.js"></script><script>
    const element = document.createElement('audience-meter');
    element.setAttribute('src', url);
    element.addEventListener('count', ({ detail }) => { document.getElementById('total').textContent = detail; });
    element.addEventListener('error', ({ detail }) => { if (detail?.final) window.finals.push(detail.message); });
    document.body.append(element);
  </script>`,
  classic: `<script src="/audience.min.js"></script><script>${joined('')}</script>`,
  jquery: `<script src="/jquery.js"></script><script src="/jquery.audience.js"></script><script>
    $.audience(url).progress((total) => { $('#total').text(total); }).fail((message) => { window.finals.push(message); });
  </script>`,
};

describe('nobody is lost', { concurrency: 2 }, () => {
  everyEngine('the daemon is away when the page comes, and is away once more', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    await meter.stop();
    const ways = ['module', 'shared', 'element', 'classic', 'jquery'];
    const site = await siteOf(t, (way) => meter.url('audience', `/${way}`));
    const pages = [];
    for (const way of ways) {
      const page = await engine.openPage(t, { profile: pages[0] });
      await page.goto(site.url(`/${way}`));
      pages.push(page);
    }
    const allAreThere = (what) => until(`all ${what}`, async () => {
      const totals = await Promise.all(pages.map((page) => page.text('#total')));
      return totals.every((total) => total === '1');
    }, 30_000);
    await meter.run();
    await allAreThere('to be there');
    await meter.stop();
    await meter.run();
    await until('all to be back', async () => {
      const members = await Promise.all(ways.map((way) => meter.members(way)));
      return members.every((count) => count === 1);
    }, 30_000);
    for (const page of pages) assert.deepEqual(await page.evaluate(() => window.finals), []);
  });

  everyEngine('the browser stops all that the page loads', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const site = await siteOf(t, () => meter.url('audience', '/test'));
    const page = await engine.openPage(t);
    // WebKit says nothing to a page whose stream it has stopped: the page finds out by the silence, here after 4 s.
    await page.goto(site.url('/watchful'));
    await until('the page to be there', async () => await page.text('#total') === '1');
    await page.evaluate(() => window.stop());
    await pause(500); // A stream is lost at once, in the engines where it is lost.
    await isThereForGood(meter, page);
  });

  everyEngine('a proxy says 503 to a stream that it has cut', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const proxy = await cuttingProxy(t, new URL(meter.url('audience')).port);
    const site = await siteOf(t, () => `${proxy.url}/test`);
    const page = await engine.openPage(t);
    await page.goto(site.url('/module'));
    await until('the page to be there', async () => await page.text('#total') === '1');
    proxy.cut();
    await until('the refusal', () => proxy.refused());
    await isThereForGood(meter, page);
  });
});

describe('nobody is counted twice', { concurrency: 2 }, () => {
  everyEngine('the way back, and twice', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const site = await siteOf(t, (way) => meter.url('audience', `/${way}`));
    for (const way of Object.keys(WAYS)) {
      const page = await engine.openPage(t);
      await page.goto(site.url(`/${way}`));
      await until(`${way} to be there`, async () => await meter.members(way) === 1);
      for (const time of ['once', 'twice']) {
        await page.goto(site.url('/away'));
        await until(`${way} to have left ${time}`, async () => await meter.members(way) === 0);
        await page.back();
        await until(`${way} to be back ${time}`, async () => await meter.members(way) === 1);
      }
      await remains(1, () => meter.members(way), 700);
      assert.deepEqual(await page.evaluate(() => window.finals), [], way);
      await page.close();
      await until(`${way} to be gone`, async () => await meter.members(way) === 0);
    }
  });
});

/** Within 30 s it is a member again, or still; it is one, is not ended, and says so. */
async function isThereForGood(meter, page) {
  let seen;
  await until('the page to be there', async () => {
    seen = [await meter.stats('test'), await page.evaluate(() => [window.member.state, window.finals])];
    return seen[0].members === 1 && seen[1][0] === 'open';
  }, 30_000).catch((error) => { throw new Error(`${error.message}: ${JSON.stringify(seen)}`); });
  await remains(1, () => meter.members('test'), 1_000);
  assert.deepEqual(await page.evaluate(() => [window.member.state, window.finals]), ['open', []]);
}

/** A site with a page for each way to join, whose address `address` gives. */
function siteOf(t, address) {
  return serve(t, {
    ...SCRIPTS,
    ...Object.fromEntries(Object.entries(WAYS).map(([way, html]) => [`/${way}`, `<!doctype html><meta charset="utf-8">
      <title>${way}</title><body><b id="total">-</b><script>var url = '${address(way)}'; window.finals = [];</script>${html}`])),
  });
}

/** Passes all on, but answers the first stream that is asked for after a cut with a 503, and the question about it not. */
async function cuttingProxy(t, port) {
  const clients = new Set();
  let refusals = 0;
  let isCut = false;
  const server = createServer((client) => {
    clients.add(client);
    const daemon = connect(port, '127.0.0.1');
    client.on('data', (bytes) => {
      const head = String(bytes);
      if (isCut && head.startsWith('GET ') && !/last-event-id: farewell/i.test(head)) {
        isCut = false;
        refusals += 1;
        client.end('HTTP/1.1 503 Service Unavailable\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      } else daemon.write(bytes);
    });
    daemon.on('data', (bytes) => client.write(bytes));
    for (const [from, to] of [[client, daemon], [daemon, client]]) {
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
    client.on('close', () => clients.delete(client));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const client of clients) client.destroy();
  });
  const cut = () => {
    isCut = true;
    for (const client of clients) client.destroy();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, cut, refused: () => refusals > 0 };
}
