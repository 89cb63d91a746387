// engines.test.mjs: what the other files of this folder take for granted of each engine, tried on the smallest page.

import assert from 'node:assert/strict';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, serve, shows, until } from './harness.mjs';

everyEngine('a page goes, comes back, is made anew and closed', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const site = await serve(t, {
    '/away': '<!doctype html><title>away</title>',
    '/': `<!doctype html><b id="total">-</b><script>
      window.source = new EventSource('${meter.url('audience', '/test')}');
      source.onmessage = ({ data }) => { document.getElementById('total').textContent = data; };
    </script>`,
  });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  await shows(page, '#total', '1');
  assert.equal(await page.evaluate(async (a, b) => (await a) + b, 1, 2), 3);
  assert.equal(await page.text('#nowhere'), null);
  await page.goto(site.url('/away'));
  assert.equal(await page.text('title'), 'away');
  await page.back();
  await shows(page, '#total', '1');
  await page.reload();
  await shows(page, '#total', '1');
  await page.setViewport(640, 480);
  assert.deepEqual(await page.evaluate(() => [innerWidth, innerHeight]), [640, 480]);
  await page.close();
  await until('the page to be closed', async () => await meter.members('test') === 0);
  assert.deepEqual(page.complaints, []);
});

everyEngine('pages have profiles of their own, or one together', async (t, engine) => {
  const site = await serve(t, { '/': '<!doctype html><title>kept</title>' });
  const kept = (page) => page.evaluate(() => localStorage.getItem('kept'));
  const first = await engine.openPage(t);
  await first.goto(site.url('/'));
  await first.evaluate(() => localStorage.setItem('kept', 'yes'));
  const beside = await engine.openPage(t, { profile: first });
  await beside.goto(site.url('/'));
  assert.equal(await kept(beside), 'yes');
  const stranger = await engine.openPage(t);
  await stranger.goto(site.url('/'));
  assert.equal(await kept(stranger), null);
});
