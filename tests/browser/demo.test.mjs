// demo.test.mjs: the two pages of the demo port, in a real browser, as a person sees them.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ALONE, Meter, TWO_WORKERS, launch, openPage, serve, shows, until } from './harness.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

test('two pages see each other come and go', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const [one, two] = [await openPage(t, browser), await openPage(t, browser)];
  await one.goto(meter.url('demo', '/test'));
  await shows(one, '#total', '1');
  await shows(one, '#state', 'Live');
  await two.goto(meter.url('demo', '/test'));
  await shows(one, '#total', '2');
  await shows(two, '#total', '2');
  assert.equal(await meter.members('test'), 2);
  await two.close();
  await shows(one, '#total', '1');
  assert.equal(await one.title(), '1 · test');
  assert.deepEqual([...one.complaints, ...two.complaints], []);
});

test('pages see each other whichever process they are at', async (t) => {
  const meter = await Meter.start(t, ...TWO_WORKERS);
  const pages = [];
  while (pages.length < 5) pages.push(await openPage(t, browser));
  for (const page of pages) await page.goto(meter.url('demo', '/test'));
  for (const page of pages) await shows(page, '#total', '5');
  await pages.pop().close();
  for (const page of pages) await shows(page, '#total', '4');
  await meter.notify('test', 'to', 'all');
  for (const page of pages) await shows(page, '#messages li span', 'all');
});

test('a message is shown decoded, and as text', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openPage(t, browser);
  await page.goto(meter.url('demo', '/test'));
  await shows(page, '#state', 'Live');
  await meter.notify('test', 'score', '2%20:%201%20%3Cb%3E');
  await shows(page, '#messages li:first-child b', 'score');
  await shows(page, '#messages li:first-child span', '2 : 1 <b>');
  await meter.notify('test', 'score', '100%');
  await shows(page, '#messages li:first-child span', '100%');
  assert.equal(await page.locator('#messages li').count(), 2);
});

test('a namespace is joined as it stands in the address, and decoded to be read', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openPage(t, browser);
  await page.goto(meter.url('demo', '/caf%C3%A9%2F1'));
  await shows(page, '#total', '1');
  await shows(page, '#name', 'café/1');
  assert.equal(await meter.members('caf%C3%A9%2F1'), 1);
});

test('the page asks nobody but the daemon, and nothing in it moves', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openPage(t, browser, { viewport: { width: 390, height: 844 } });
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.addInitScript(() => {
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shift += entry.value; }))
      .observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(meter.url('demo', '/test'));
  await shows(page, '#total', '1');
  await meter.notify('test', 'a'.repeat(200), 'b'.repeat(200));
  await page.waitForSelector('#messages li');
  assert.deepEqual(asked.sort(), [
    meter.url('audience', '/test'), meter.url('demo', '/client/audience.js'), meter.url('demo', '/test'),
  ].sort());
  // The number and the state are centred, so a little is theirs; one line pushed down would be a hundred times as much.
  assert.ok(await page.evaluate(() => window.shift) < 0.005, 'something moved');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'wider than a phone');
});

test('any number fits a phone', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  for (const [total, text] of [['8', '8'], ['888', '888'], ['88888', '88,888'], ['8888888', '8,888,888']]) {
    const page = await openPage(t, browser, { viewport: { width: 320, height: 640 } });
    await page.route(meter.url('audience', '/test'), (route) => route.fulfill({
      contentType: 'text/event-stream', headers: { 'Access-Control-Allow-Origin': '*' }, body: `data: ${total}\n\n`,
    }));
    await page.goto(meter.url('demo', '/test'));
    await shows(page, '#total', text);
    const [inner, outer] = await page.evaluate(() => {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById('total'));
      return [range, document.querySelector('.meter')].map((box) => box.getBoundingClientRect().width);
    });
    assert.ok(inner > 0 && inner <= outer - 40, `${text} is ${inner} px wide, its box ${outer} with 20 of padding`);
  }
});

test('the snippet works as it is, in a page of another origin', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openPage(t, browser);
  await page.goto(meter.url('demo', '/test'));
  const snippet = await page.textContent('#snippet');
  const site = await serve(t, { '/': `<!doctype html>${snippet}` });
  const other = await openPage(t, browser);
  await other.goto(site.url('/'));
  await shows(other, '#total', '2');
  await page.click('#copy');
  await until('the button to answer', async () => ['Copied', 'Selected'].includes(await page.textContent('#copy')));
});

test('the front page links to an event and leads to any other', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openPage(t, browser);
  await page.goto(meter.url('demo', '/'));
  assert.ok((await page.textContent('#command')).endsWith(meter.url('audience', '/test')));
  await page.click('a[href="/test"]');
  await page.waitForURL(meter.url('demo', '/test'));
  await shows(page, '#total', '1');
  await page.goto(meter.url('demo', '/'));
  await page.fill('#event', '..');
  await page.click('button');
  assert.equal(await page.evaluate(() => document.getElementById('form').checkValidity()), false);
  await page.fill('#event', ' Finale 2/2 ');
  await page.click('button');
  await page.waitForURL(meter.url('demo', '/Finale%202%2F2'));
  await shows(page, '#name', 'Finale 2/2');
  await shows(page, '#total', '1');
});

for (const colorScheme of ['light', 'dark']) {
  for (const [device, viewport] of Object.entries({ desktop: [1280, 800], phone: [390, 844] })) {
    test(`what it looks like, ${colorScheme}, ${device}`, async (t) => {
      const meter = await Meter.start(t, ...ALONE);
      const page = await openPage(t, browser, { colorScheme, viewport: { width: viewport[0], height: viewport[1] } });
      for (const [name, path] of [['welcome', '/'], ['demo', '/test']]) {
        await page.goto(meter.url('demo', path));
        if (name === 'demo') {
          await shows(page, '#total', '1');
          await meter.notify('test', 'score', '2%20:%201');
          await page.waitForSelector('#messages li');
        }
        await screenshot(page, `${name}-${colorScheme}-${device}.png`);
        const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(/^rgb\((\d)?\d,/.test(ground), colorScheme === 'dark', `${colorScheme} on ${ground}`);
      }
      assert.deepEqual(page.complaints, []);
    });
  }
}

/** Kept where METER_SCREENSHOTS says, for a person to look at. */
async function screenshot(page, name) {
  const folder = process.env.METER_SCREENSHOTS;
  if (folder) await mkdir(folder, { recursive: true });
  await page.screenshot({ animations: 'disabled', fullPage: true, path: folder && join(folder, name) });
}
