// middleware.test.mjs: the daemon behind an Express application that compresses, as its documentation sets that up.
//
// `compression()` gathers what it compresses until a buffer is full, unless the answer forbids a change on the way.

import { once } from 'node:events';
import { get } from 'node:http';
import { describe, test } from 'node:test';
import compression from 'compression';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, remains, serve, shows, until } from './harness.mjs';

describe('behind Express with compression', { concurrency: 2 }, () => {
  test('counts and messages arrive at once, and who leaves is counted out', async (t) => {
    const meter = await start(t);
    const at = await application(t, meter);
    const first = await join(t, `${at}/event`);
    await until('the first count', () => first.data.at(-1) === '1');
    const second = await join(t, `${at}/event`);
    await until('the next count', () => first.data.at(-1) === '2');
    await meter.notify('event', 'score', '2:0');
    await until('the message', () => first.data.at(-1) === 'score=2:0');
    second.leave();
    await until('the last count', () => first.data.at(-1) === '1');
  });

  everyEngine('a page shows each count at once', async (t, engine) => {
    const meter = await start(t);
    const at = await application(t, meter);
    const site = await serve(t, { '/': `<!doctype html><script type="module" src="${at}/client/audience.js"></script>
      <audience-meter src="${at}/event">-</audience-meter>` });
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await shows(page, 'audience-meter', '1');
    const second = await join(t, `${at}/event`);
    await shows(page, 'audience-meter', '2');
    second.leave();
    await shows(page, 'audience-meter', '1');
    await page.close();
    await until('the page to have left', async () => await meter.members('event') === 0);
  });

  test('nothing would arrive if a change on the way were allowed', async (t) => {
    const meter = await start(t);
    const at = await application(t, meter, (answer) => { answer.headers['cache-control'] = 'no-store'; });
    const only = await join(t, `${at}/event`);
    await until('the member', async () => (await meter.members('event')) === 1);
    await remains([], () => only.data, 500);
  });
});

/** A daemon that repeats nothing, so what is held back stays back. */
const start = (t) => Meter.start(t, ...ALONE, '--notify-delta-ratio', '0', '--notify-max-delay', '600');

/** An application before the daemon; `change` may change the daemon's answers. Resolves to its address. */
async function application(t, meter, change = () => {}) {
  const app = express();
  app.use(compression());
  app.use(createProxyMiddleware({ target: meter.url('audience'), on: { proxyRes: change } }));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** A member that takes compressed answers, as browsers do. */
async function join(t, url) {
  const headers = { Accept: 'text/event-stream', 'Accept-Encoding': 'gzip, deflate, br' };
  const request = get(url, { headers, agent: false });
  const leave = () => request.destroy();
  t.after(leave);
  const data = [];
  request.on('error', () => {});
  request.on('response', (response) => {
    response.setEncoding('utf8').on('error', () => {}).on('data', (text) => {
      data.push(...[...text.matchAll(/^data: (.*)$/gm)].map(([, value]) => value));
    });
  });
  return { data, leave };
}
