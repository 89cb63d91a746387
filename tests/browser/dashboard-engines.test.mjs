// dashboard-engines.test.mjs: what an operator does with the page of the stats port, in three engines. All else about it is
// in dashboard.test.mjs, in Chromium.

import assert from 'node:assert/strict';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, gather, shows, until } from './harness.mjs';

/** What came stays known. */
const KEPT = [...ALONE, '--namespace-clean-delay', '600'];

const STRANGE = '%3Cimg%20src%3Dx%20onerror%3D%22window.ran%3Dtrue%22%3E';

everyEngine('who joins is on the page, is sorted, found and chosen, and who leaves is off it', async (t, engine) => {
  const meter = await Meter.start(t, ...KEPT);
  const page = await openDashboard(t, engine, meter);
  await shows(page, '#total', '0');
  const members = await gather(t, meter, ['b', 'b', 'b', 'a', 'caf%C3%A9', 'caf%C3%A9']);
  await shows(page, '#total', '6');
  const rows = ['b 3', 'café 2', 'a 1'];
  await until('the rows', async () => (await table(page)).join() === rows.join());
  assert.equal(await page.title(), '6 · Audience Meter');
  const sort = (name) => page.evaluate((head) => {
    [...document.querySelectorAll('[role=columnheader] button')].find(({ textContent }) => textContent.includes(head)).click();
  }, name);
  await sort('Members');
  await until('the least first', async () => (await table(page)).join() === rows.toReversed().join());
  await sort('Name');
  await until('by name', async () => (await table(page)).join() === 'a 1,b 3,café 2');
  await page.fill('#search', 'FÉ');
  await until('the one', async () => (await table(page)).join() === 'café 2');
  await shows(page, '#found', '1 of 3');
  await page.click('.row:not([hidden])');
  await shows(page, '#chosen', 'café');
  await shows(page, '#now', '2');
  assert.equal(await page.evaluate(() => decodeURIComponent(location.hash)), '#/caf%C3%A9');
  await page.fill('#search', '');
  for (const member of members.slice(4)) member.destroy();
  await shows(page, '#total', '4');
  await until('its row', async () => (await table(page)).includes('café 0'));
  await shows(page, '#now', '0');
  await page.setViewport(1280, 800);
  await page.screenshot(`dashboard-${engine.name}.png`);
  assert.deepEqual(page.complaints, []);
});

everyEngine('names from strangers are text, and the page may do what it needs', async (t, engine) => {
  const meter = await Meter.start(t, ...KEPT);
  const page = await openDashboard(t, engine, meter);
  await page.evaluate(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.effectiveDirective));
  });
  await gather(t, meter, [STRANGE, STRANGE]);
  await until('the row', async () => (await table(page)).join() === `${decodeURIComponent(STRANGE)} 2`);
  await shows(page, '#chosen', decodeURIComponent(STRANGE));
  assert.equal(await page.evaluate(() => 'ran' in window || document.querySelector('main img') !== null), false);
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  assert.deepEqual(page.complaints, []);
});

everyEngine('the page comes back with the daemon, and forgets what that does not know', async (t, engine) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['before', 'before']);
  const page = await openDashboard(t, engine, meter);
  await shows(page, '#total', '2');
  await meter.stop();
  await shows(page, '#state', 'Reconnecting');
  await meter.run();
  await gather(t, meter, ['after']);
  await shows(page, '#state', 'Live');
  await until('the rows', async () => (await table(page)).join() === 'after 1');
});

/** A browser that is too slow to speak is answered without HTTP, and comes again. */
async function openDashboard(t, engine, meter) {
  const page = await engine.openPage(t);
  await until('the page', async () => {
    await page.goto(meter.url('stats', '/')).catch(() => {});
    return page.evaluate(() => document.getElementById('total') !== null).catch(() => false);
  });
  return page;
}

/** The rows, from the top: each a name and its members. */
function table(page) {
  return page.evaluate(() => [...document.querySelectorAll('.row:not([hidden])')]
    .sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))
    .map((row) => `${row.querySelector('.name').textContent} ${row.querySelector('.members').textContent}`));
}
