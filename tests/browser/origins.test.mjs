// origins.test.mjs: pages of origins that are listed and of others, and what a browser sends on its own.
//
// All pages are of 127.0.0.1, each of a port of its own: to a browser that is another origin of the same site.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, remains, serve, until } from './harness.mjs';

const PAGE = '<!doctype html><title>page</title>';

describe('origins', { concurrency: 3 }, () => {
  everyEngine('a listed page joins with its cookies, watches and leaves; another one does none of it', async (t, engine) => {
    const [listed, other] = [await serve(t, { '/': PAGE }), await serve(t, { '/': PAGE })];
    const origin = listed.url('').replace('http:', 'HTTP:');
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid', '--allow-listen', '--allow-origin', origin);
    const page = await engine.openPage(t);
    await page.goto(listed.url('/'));
    const streams = (at, path) => at.evaluate((url) => {
      const stream = new EventSource(url, { withCredentials: true });
      window.streams = [...window.streams ?? [], stream];
      return new Promise((settle) => {
        stream.onmessage = ({ data }) => settle(data);
        stream.addEventListener('counts', ({ data }) => settle(data));
        stream.onerror = () => settle(`error, ${stream.readyState}`);
      });
    }, meter.url('audience', path));
    assert.equal(await streams(page, '/test/uuid'), '1');
    assert.equal(await streams(page, '/?watch=test'), 'test=1');

    const stranger = await engine.openPage(t);
    await stranger.goto(other.url('/'));
    assert.equal(await streams(stranger, '/test/other'), 'error, 2');
    assert.equal(await streams(stranger, '/?watch=test'), 'error, 2');
    // None of the ways that a browser has ends the stream of the other page.
    await stranger.evaluate(async (url) => {
      const ways = [{}, { mode: 'no-cors' }, { method: 'POST', mode: 'no-cors' }, { method: 'DELETE' }];
      const streamed = { mode: 'no-cors', headers: { Accept: 'text/event-stream' } };
      for (const way of [...ways, streamed]) await fetch(url, { ...way, credentials: 'include' }).catch(() => {});
      navigator.sendBeacon(url);
      await new Promise((settle) => { Object.assign(new Image(), { src: url }).onerror = settle; });
    }, meter.url('audience', '/test/uuid'));
    await remains({ members: 1, connections: 1 }, () => meter.stats('test'), 500);
    assert.equal(await page.evaluate(() => window.streams[0].readyState), 1);

    const left = await page.evaluate(async (url) => {
      const { status } = await fetch(url, { method: 'DELETE', credentials: 'include' });
      return status;
    }, meter.url('audience', '/test/uuid'));
    assert.equal(left, 200);
    await until('the member to have left', async () => await meter.members('test') === 0);
  });

  everyEngine('a browser that prefetches what its user may open next ends no stream', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const url = meter.url('audience', '/test/uuid');
    const site = await serve(t, {
      '/': PAGE,
      '/links': `${PAGE}<link rel="prefetch" href="${url}"><script type="speculationrules">
        ${JSON.stringify({ prefetch: [{ urls: [url], eagerness: 'immediate' }], prerender: [{ urls: [url], eagerness: 'immediate' }] })}
      </script>`,
    });
    const member = await engine.openPage(t);
    await member.goto(site.url('/'));
    await member.evaluate((url) => new Promise((settle) => {
      window.stream = Object.assign(new EventSource(url), { onmessage: () => settle() });
    }), url);
    const page = await engine.openPage(t);
    const asked = [];
    const session = await page.context.newCDPSession(page.driver);
    await session.send('Network.enable');
    session.on('Network.requestWillBeSentExtraInfo', ({ headers }) => {
      asked.push(headers['sec-purpose'] ?? headers['Sec-Purpose'] ?? '');
    });
    await page.goto(site.url('/links'));
    await until('a prefetch', () => asked.some((purpose) => purpose.startsWith('prefetch')));
    await remains({ members: 1, connections: 1 }, () => meter.stats('test'), 500);
    await page.evaluate((url) => navigator.sendBeacon(url), url);
    await until('the member to have left', async () => await meter.members('test') === 0);
  }, ['chromium']); // the others prefetch nothing of it, or do not say what they have asked
});
