// prerender.test.mjs: a page that Chromium prepares for a visitor who may never open it. Chromium does so only where no
// debugger looks on, so it is started without one, and the pages report by themselves.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ALONE, CHROMIUM, CHROMIUM_FLAGS, JQUERY, Meter, remains, serve, until } from './harness.mjs';

const SCRIPTS = Object.fromEntries(['audience.js', 'element.js', 'audience.min.js', 'jquery.audience.js'].map((name) => (
  [`/${name}`, new URL(`../../client/${name}`, import.meta.url)])));

/** What joins, by the name of its event. */
const WAYS = {
  module: (url) => `<script type="module">import { audience } from '/audience.js'; audience('${url}');</script>`,
  shared: (url) => `<script type="module">import { audience } from '/audience.js'; audience('${url}', { shared: true });</script>`,
  element: (url) => `<script type="module" src="/element.js"></script><audience-meter src="${url}">–</audience-meter>`,
  classic: (url) => `<script src="/audience.min.js"></script><script>audience('${url}');</script>`,
  jquery: (url) => `<script src="/jquery.js"></script><script src="/jquery.audience.js"></script><script>$.audience('${url}');</script>`,
  bare: (url) => `<script>source = new EventSource('${url}');</script>`,
};

test('a page that is prepared is counted once it is shown, and then once, whatever it joins by', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const names = Object.keys(WAYS);
  const reports = [];
  let show;
  const site = await serve(t, {
    ...SCRIPTS,
    '/jquery.js': JQUERY['3.7.1'],
    '/from': `<!doctype html><script type="speculationrules">
      {"prerender": [{"source": "list", "urls": ["/page"], "eagerness": "immediate"}]}
    </script><script>fetch('/show').then(() => { location.href = '/page'; });</script>`,
    '/show': (_, response) => { show = () => response.end(); },
    '/report': (request, response) => {
      reports.push(request.url.split('?')[1]);
      response.end();
    },
    '/page': `<!doctype html><meta charset="utf-8">${names.map((name) => WAYS[name](meter.url('audience', `/${name}`))).join('')}
      <script>
        const report = () => fetch(document.prerendering ? '/report?prepared' : '/report?shown');
        addEventListener('load', report);
        document.addEventListener('prerenderingchange', report);
      </script>`,
  });
  await visit(t, site.url('/from'));
  await until('the page to be prepared', () => reports.length > 0);
  assert.deepEqual(reports, ['prepared']);
  const members = () => Promise.all(names.map((name) => meter.members(name)));
  await remains(names.map(() => 0), members, 1_000);
  await until('the first page to ask', () => show);
  show();
  await until('the page to be shown', () => reports.length === 2);
  await until('each to be counted', async () => (await members()).every((count) => count === 1));
  await remains(names.map(() => 1), members, 500);
  for (const name of names) assert.equal((await meter.stats(name)).connections, 1, name);
});

/** Opens a page in a Chromium that no debugger looks on. */
async function visit(t, url) {
  const profile = await mkdtemp(join(tmpdir(), 'audience-meter-chromium-'));
  const browser = spawn(CHROMIUM, ['--headless=new', ...CHROMIUM_FLAGS, `--user-data-dir=${profile}`, url], {
    stdio: 'ignore', detached: true,
  });
  t.after(async () => {
    const gone = once(browser, 'exit');
    process.kill(-browser.pid, 'SIGKILL'); // all processes that it has started
    await gone;
    await rm(profile, { recursive: true, maxRetries: 10 });
  });
}
