// jquery.test.mjs: client/jquery.audience.js in three engines, with jQuery of each age.
//
// It is an adapter; how the core behind it comes back is tested in module.test.mjs, without EventSource in old.test.mjs.
// The plugin is loaded from the audience port, as a page of 2011 would after a change of the address alone.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';
import { everyEngine } from './engines.mjs';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { ALONE, JQUERY, Meter, jqueryPage, remains, serve, shows, until } from './harness.mjs';

/** Three times the longest wait after which the daemon has a page come back. */
const RETRIES_MS = 1_500;

describe('jquery.audience.js', { concurrency: 3 }, () => {
  for (const version of Object.keys(JQUERY)) {
    everyEngine(`jQuery ${version}: the total, messages, a restart, close()`, async (t, engine) => {
      const meter = await Meter.start(t, ...ALONE);
      const plugin = meter.url('audience', '/client/jquery.audience.js');
      const page = await jqueryPage(t, engine, { version, plugin, url: meter.url('audience', '/test') });
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

    everyEngine(`jQuery ${version}: two events in one page, with the options of the module`, async (t, engine) => {
      const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
      const page = await jqueryPage(t, engine, { version, url: meter.url('audience', '/one') });
      await shows(page, '#total', '1');
      await page.evaluate((url) => {
        window.other = $.audience(url, { uuid: 'me' }).progress(() => {
          window.again ??= $.audience(url, { uuid: 'me' }).progress((total) => { window.total = total; });
        });
      }, meter.url('audience', '/two'));
      await until('both to be told', () => page.evaluate(() => window.total === '1'));
      // One page and one address, so one stream, which the second has not ended.
      assert.deepEqual(await meter.stats('two'), { members: 1, connections: 1 });
      await page.evaluate(() => window.other.close());
      await remains([1, 1], () => Promise.all([meter.members('one'), meter.members('two')]), 300);
      await page.evaluate(() => window.again.close());
      await until('the second event to be left', async () => await meter.members('two') === 0);
      assert.equal(await meter.members('one'), 1);
    });
  }

  everyEngine('a count that comes before the document is there is told when it is', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const site = await serve(t, {
      '/jquery.js': JQUERY['3.7.1'],
      '/': async (_, response) => {
        // Else Firefox waits for more, in which the encoding could be named.
        response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
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
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await shows(page, '#total', '1');
    assert.deepEqual(page.complaints, []);
  }, ['chromium', 'firefox']); // WebKit waits for more of the page than this

  everyEngine('a uuid that joins elsewhere rejects the first promise, for good', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const url = meter.url('audience', '/test/somebody');
    const one = await jqueryPage(t, engine, { url });
    await shows(one, '#total', '1');
    const two = await jqueryPage(t, engine, { url });
    await until('the first to be rejected', () => one.evaluate(() => window.member.state() === 'rejected'));
    assert.match(await one.evaluate(() => window.failure), /joined anew elsewhere$/);
    await remains({ members: 1, connections: 2 }, () => meter.stats('test'), RETRIES_MS);
    assert.equal(await two.evaluate(() => window.member.state()), 'pending');
  });

  everyEngine('a left page is counted out within a second, and in again when it is shown again', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await jqueryPage(t, engine, { url: meter.url('audience', '/test') });
    await shows(page, '#total', '1');
    const elsewhere = await serve(t, { '/': '<!doctype html>elsewhere' });
    await page.goto(elsewhere.url('/'));
    await until('the left page to be counted out', async () => await meter.members('test') === 0, 1_000);
    await page.back();
    await until('the page to be counted in again', async () => await meter.members('test') === 1);
  });

  for (const address of ['/none', 'ftp://h/test']) {
    everyEngine(`${address} is a wrong address and rejected`, async (t, engine) => {
      const page = await jqueryPage(t, engine, { url: address });
      await until('the promise to be rejected', () => page.evaluate(() => window.member.state() === 'rejected'));
      assert.match(await page.evaluate(() => window.failure), /is no event to join: it answers 404$|is no address of an/);
    });
  }

  everyEngine('a loader of AMD modules gives it its jQuery, and nothing is put into the page', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await pageWith(t, engine, `<script>
      // As much of a loader as there is to it: each script is a module of the name that it was asked for by.
      const modules = {};
      const load = (name, url) => new Promise((settle) => {
        window.define = (...given) => {
          const factory = given.pop();
          const needs = (given.find(Array.isArray) || []).map((need) => modules[need]);
          window.needs = given;
          modules[name] = typeof factory === 'function' ? factory(...needs) : factory;
        };
        window.define.amd = {};
        const script = Object.assign(document.createElement('script'), { src: url });
        script.onload = () => settle(modules[name]);
        document.head.append(script);
      });
      load('jquery', '/jquery.js').then((jQuery) => {
        jQuery.noConflict(true);
        return load('plugin', '/plugin.js').then((plugin) => { window.same = plugin === jQuery; return plugin; });
      }).then((own) => own.audience('${meter.url('audience', '/test')}').progress((total) => own('#total').text(total)));
    </script><b id="total">-</b>`);
    await shows(page, '#total', '1');
    assert.deepEqual(await page.evaluate(() => [window.same, window.needs, typeof window.$, typeof window.jQuery]), [true, [['jquery']], 'undefined', 'undefined']);
    assert.deepEqual(page.complaints, []);
  });

  everyEngine('its own tag in a page with such a loader is no module', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await pageWith(t, engine, `<script src="/jquery.js"></script>
      <script>window.define = () => { window.complaint = 'mismatched'; }; window.define.amd = {};</script>
      <script src="/plugin.js"></script><b id="total">-</b>
      <script>$.audience('${meter.url('audience', '/test')}').progress((total) => $('#total').text(total));</script>`);
    await shows(page, '#total', '1');
    assert.equal(await page.evaluate(() => 'complaint' in window), false);
  });

  everyEngine('a bundler gives it its jQuery, as a CommonJS module and as an import', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const folder = await mkdtemp(join(tmpdir(), 'audience-meter-jquery-'));
    t.after(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, 'node_modules'));
    for (const [name, target] of [['audience-meter', '../../client'], ['jquery', 'node_modules/jquery3']]) {
      await symlink(fileURLToPath(new URL(target, import.meta.url)), join(folder, 'node_modules', name));
    }
    for (const taken of [
      "const $ = require('audience-meter/jquery.audience.js');",
      "import $ from 'jquery'; import 'audience-meter/jquery.audience.js';",
    ]) {
      const { outputFiles } = await esbuild.build({
        stdin: {
          contents: `${taken} $.audience('${meter.url('audience', '/test')}').progress((total) => $('#total').text(total));`,
          resolveDir: folder,
        },
        bundle: true, write: false, preserveSymlinks: true,
      });
      const page = await pageWith(t, engine, `<b id="total">-</b><script>${outputFiles[0].text.replaceAll('</script', '<\\/script')}</script>`);
      await shows(page, '#total', '1');
      assert.deepEqual(page.complaints, []);
      await page.close();
      await until('the page to have left', async () => await meter.members('test') === 0);
    }
  });

  for (const [what, tag] of Object.entries({
    'no jQuery': '', 'the slim build of jQuery 4': '<script src="/slim.js"></script>',
  })) {
    everyEngine(`with ${what} it says what it lacks`, async (t, engine) => {
      const page = await pageWith(t, engine, `${tag}<script src="/plugin.js"></script>`);
      if (engine.name !== 'webkit') assert.deepEqual(page.complaints, [
        'Error: jquery.audience.js needs jQuery 1.7 or later before it; of jQuery 4 not the slim build, which has no Deferred',
      ]);
    });
  }
});

/** A page with these scripts at hand, and `body`. */
async function pageWith(t, engine, body) {
  const site = await serve(t, {
    '/jquery.js': JQUERY['3.7.1'],
    '/slim.js': new URL('node_modules/jquery4/dist/jquery.slim.min.js', import.meta.url),
    '/plugin.js': new URL('../../client/jquery.audience.js', import.meta.url),
    '/': `<!doctype html><meta charset="utf-8">${body}`,
  });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  return page;
}
