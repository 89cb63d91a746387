// refused.test.mjs: why a page is not at its event, in words that fit, and whether it waits: what the platform lacks, what
// the browser refuses, and what a server or a proxy answers.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { describe, test } from 'node:test';
import { audience } from '../../client/audience.js';
import { everyEngine } from './engines.mjs';
import {
  ALONE, ANY_ORIGIN, CLAIMED, Meter, launch, makeCertificate, openContext, remains, serve, stream, until,
} from './harness.mjs';

const MODULE = new URL('../../client/audience.js', import.meta.url);

/** What a page may read of an answer. */
const READABLE = { ...ANY_ORIGIN, 'Access-Control-Expose-Headers': '*' };

describe('a refusal', { concurrency: 3 }, () => {
  everyEngine('the policy of the page', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await joined(t, engine, meter.url('audience', '/test'), { policy: "connect-src 'self'" });
    await endsWith(page, /\/test cannot be joined: the policy of this page does not allow it \(connect-src\)$/);
    assert.deepEqual(await meter.stats('test'), { members: 0, connections: 0 });
  });

  everyEngine('no EventSource', async (t, engine) => {
    const page = await joined(t, engine, 'http://127.0.0.1:9/test', { before: 'delete window.EventSource;' });
    await endsWith(page, /cannot be joined: there is no EventSource, pass one as an option$/);
  });

  everyEngine('an EventSource that cannot be used, and no options', async (t, engine) => {
    const page = await joined(t, engine, 'http://127.0.0.1:9/test', {
      before: 'window.options = { EventSource: function () { throw new TypeError("of no use"); } };',
    });
    await endsWith(page, /cannot be joined: of no use$/);
    const states = await page.evaluate(async () => {
      const { audience } = await import('/audience.js');
      return [audience('ftp://h/', null), audience(Symbol('h'))].map(({ state }) => state);
    });
    assert.deepEqual(states, ['closed', 'closed']);
  });

  everyEngine('a browser that refuses to keep data: a stream of its own', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const page = await joined(t, engine, meter.url('audience', '/test'), {
      before: `const refuse = () => { throw new DOMException('The operation is insecure.', 'SecurityError'); };
        window.BroadcastChannel = function () { refuse(); };
        Object.defineProperty(window, 'localStorage', { get: refuse });
        window.options = { shared: true, uuid: true };`,
    });
    await until('the count', () => page.evaluate(() => window.member.total === 1));
    assert.deepEqual(await meter.stats('test'), { members: 1, connections: 1 });
  });

  for (const status of [408, 425, 429, 503]) {
    everyEngine(`${status} is waited out, as long as the server wishes`, async (t, engine) => {
      const asked = [];
      const server = await serve(t, {
        '/test': (request, response) => {
          asked.push([request.method, Date.now()]);
          if (asked.length < 5) response.writeHead(status, { ...READABLE, 'Retry-After': '1', Connection: 'close' }).end();
          else stream(response, 'data: 7\n\n');
        },
      });
      const page = await joined(t, engine, server.url('/test'), { before: 'window.options = { backoffMs: 10 };' });
      await until('the count', () => page.evaluate(() => window.member.total === 7));
      assert.deepEqual(asked.map(([method]) => method), ['GET', 'HEAD', 'GET', 'HEAD', 'GET']);
      const waits = [asked[2][1] - asked[1][1], asked[4][1] - asked[3][1]];
      for (const wait of waits) assert.ok(wait >= 990 && wait < 5_000, `${waits} ms`);
      const errors = await page.evaluate(() => window.errors);
      assert.deepEqual(errors.map(({ final }) => final), [false, false]);
      assert.match(errors[0].message, new RegExp(` answers ${status}, trying again$`));
    });
  }

  everyEngine('only the daemon sends a page away: a 204 of a proxy, window.stop() and a failing proxy do not', async (t, engine) => {
    let head = null; // of what answers in the place of a stream
    const streams = [];
    const server = await serve(t, {
      '/test': (request, response) => {
        if (request.method === 'OPTIONS') response.writeHead(204, { ...READABLE, 'Access-Control-Allow-Headers': '*' }).end();
        else if (head) response.writeHead(...head).end();
        else if (request.method === 'HEAD') response.writeHead(200, { ...READABLE, 'Content-Type': 'text/event-stream' }).end();
        else streams.push(stream(response, `retry: 50\n\ndata: ${streams.length + 1}\n\n`));
      },
    });
    const page = await joined(t, engine, server.url('/test'), {
      before: 'window.options = { backoffMs: 10, backoffMaxMs: 100, silenceMs: 3000 };',
    });
    const hasTotal = (total) => until(`stream ${total}`, () => page.evaluate((total) => window.member.total === total, total));
    await hasTotal(1);
    for (const answer of [[204, ANY_ORIGIN], [204, READABLE], [404, READABLE], [403], [503, READABLE], [200, READABLE]]) {
      head = answer;
      const errors = await page.evaluate(() => window.errors.length);
      const before = streams.length;
      streams.at(-1).end();
      await until('the browser to have given up', () => page.evaluate((count) => window.errors.length > count + 1, errors));
      head = null;
      await hasTotal(before + 1);
    }
    await page.evaluate(() => { window.stop(); });
    await hasTotal(streams.length + 1);
    assert.deepEqual(await page.evaluate(() => window.errors.filter(({ final }) => final)), []);

    head = [204, CLAIMED];
    streams.at(-1).end();
    await until('the end', () => page.evaluate(() => window.member.state === 'closed'));
    assert.match(await page.evaluate(() => window.errors.at(-1).message), /\/test was joined anew elsewhere$/);
  });

  everyEngine('a server that comes up while the reason is asked for is no wrong address', async (t, engine) => {
    const asked = [];
    const server = await serve(t, {
      '/test': (request, response) => {
        asked.push(request.method);
        if (asked.length < 3) request.socket.destroy(); // away for the stream, and for the first question
        else if (request.method === 'HEAD') response.writeHead(200, { ...ANY_ORIGIN, 'Content-Type': 'text/event-stream' }).end();
        else stream(response, 'data: 7\n\n');
      },
    });
    const page = await joined(t, engine, server.url('/test'), { before: 'window.options = { backoffMs: 10 };' });
    await until('the count', () => page.evaluate(() => window.member.total === 7));
    assert.deepEqual(await page.evaluate(() => window.errors.filter(({ final }) => final)), []);
  });
});

describe('a refusal by Chromium', () => {
  test('the local network', async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const site = await serve(t, pageOf(meter.url('audience', '/test')));
    // The page is made one of the internet, which may not ask for what is on this machine unless the visitor allows it.
    const browser = await launch([`--ip-address-space-overrides=${new URL(site.url('/')).host}=public`]);
    t.after(() => browser.close());
    const page = await (await openContext(t, browser)).newPage();
    await page.goto(site.url('/'));
    await endsWith(page, /cannot be joined: this page is refused the local network$/);
    assert.deepEqual(await meter.stats('test'), { members: 0, connections: 0 });
  });

  test('mixed content', async (t) => {
    const browser = await launch();
    t.after(() => browser.close());
    const page = await (await openContext(t, browser, { ignoreHTTPSErrors: true })).newPage();
    await page.goto(await serveSecurely(t, pageOf('http://meter.invalid/test')));
    await endsWith(page, /\/test cannot be joined: a page that came by https may not ask by http$/);
  });
});

test('on a server, where there is no EventSource: a final error, and nothing is thrown', async (t) => {
  assert.equal(globalThis.EventSource, undefined);
  const errors = [];
  const members = ['http://127.0.0.1:9/test', '/test', {}].map((url) => audience(url, { shared: true, uuid: true }));
  members.forEach((member) => member.onError((error) => errors.push(error)));
  await until('all to be closed', () => errors.length === 3 && members.every(({ state }) => state === 'closed'));
  assert.deepEqual(errors.map(({ message, final }) => [message.replace(/^\S+ /, ''), final]).sort(), [
    ['Object] is no address of an event', true], ['cannot be joined: there is no EventSource, pass one as an option', true],
    ['is no address of an event', true],
  ]);
});

/** A page that joins `url`, with `before` run ahead of its scripts. */
function pageOf(url, before = '') {
  return {
    '/audience.js': MODULE,
    '/': `<!doctype html><meta charset="utf-8"><script>window.errors = []; ${before}</script>
    <script type="module">
      import { audience } from '/audience.js';
      window.member = audience('${url}', window.options);
      member.onError((error) => errors.push(error));
    </script>`,
  };
}

async function joined(t, engine, url, { policy, before }) {
  const routes = pageOf(url, before);
  const html = routes['/'];
  if (policy) {
    routes['/'] = (_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': policy }).end(html);
    };
  }
  const site = await serve(t, routes);
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  await until('the page to have joined', () => page.evaluate(() => Boolean(window.member)));
  return page;
}

/** The one error of the page is final, and it is this. */
async function endsWith(page, message) {
  await until('the end', () => page.evaluate(() => window.member?.state === 'closed' && window.errors.length > 0));
  const errors = await page.evaluate(() => window.errors);
  assert.deepEqual(errors, [{ message: errors[0].message, final: true }]);
  assert.match(errors[0].message, message);
  await remains(1, () => page.evaluate(() => window.errors.length), 300);
}

/** A site with a certificate that a browser has to be told to accept. */
async function serveSecurely(t, routes) {
  const { key, cert } = await makeCertificate(t);
  const server = createServer({ key, cert }, async (request, response) => {
    const route = routes[request.url];
    if (!route) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': route instanceof URL ? 'text/javascript' : 'text/html' });
    response.end(route instanceof URL ? await readFile(route) : route);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((listening) => { server.on('listening', listening); });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `https://127.0.0.1:${server.address().port}/`;
}
