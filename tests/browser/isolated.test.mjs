// isolated.test.mjs: pages that are isolated from other origins, which take only what allows it.

import assert from 'node:assert/strict';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, serve, shows } from './harness.mjs';

/** What isolates a page: it takes scripts of other origins that say so, and streams by CORS. */
const ISOLATING = {
  'Content-Type': 'text/html',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

for (const [kind, attribute] of [['as classic pages load it', ''], ['with crossorigin', ' crossorigin']]) {
  everyEngine(`an isolated page loads the classic script ${kind}, and joins`, async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    // The same host under another name is another site.
    const at = meter.url('audience').replace('127.0.0.1', 'localhost');
    const site = await serve(t, {
      '/': (request, response) => response.writeHead(200, ISOLATING).end(`<!doctype html>
        <script src="${at}/client/viewers.min.js"${attribute}></script>
        <script>audience("${at}/event").onCount(function (total) { document.getElementById("total").innerHTML = total; });</script>
        <span id="total">-</span>`),
      // It says nothing of pages elsewhere.
      '/silent.js': (request, response) => response.writeHead(200, { 'Content-Type': 'text/javascript' }).end('window.silent = 1;'),
    });
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    assert.equal(await page.evaluate(() => window.crossOriginIsolated), true);
    await shows(page, '#total', '1');
    const loads = (url) => page.evaluate((source) => new Promise((done) => {
      const script = Object.assign(document.createElement('script'), { src: source, onload: () => done(true), onerror: () => done(false) });
      document.head.append(script);
    }), url);
    assert.equal(await loads(site.url('/silent.js').replace('127.0.0.1', 'localhost')), false, 'the page is not isolated');
  });
}
