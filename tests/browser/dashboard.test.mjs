// dashboard.test.mjs: the page of the stats port, in a real browser, as an operator sees it.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Recorder, Trace } from '../../client/dashboard/series.js';
import { hashOf, nameOf, readable } from '../../client/dashboard/text.js';
import {
  ALONE, Meter, TWO_WORKERS, faultsFoundByAxe, gather, launch, openContext, openPage, remains, screenshot, shows, until,
} from './harness.mjs';

/** What came stays known. */
const KEPT = [...ALONE, '--namespace-clean-delay', '600'];

/** A history that is not kept is not found, which the browser notes as an error by itself. */
const NOT_FOUND = /\/history\/\S*\.json$/;

/** What the browser makes of the figures without HTTP: on a busy machine it connects and says nothing for 250 ms. */
const TOO_SLOW = /ERR_INVALID_HTTP_RESPONSE|interrupted by another navigation/;

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

test('who joins is on the page, and who leaves is off it', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openDashboard(t, meter);
  await shows(page, '#total', '0');
  await page.waitForSelector('#empty');
  await shows(page, '#command', `curl -N -H 'Accept: text/event-stream' ${meter.url('audience', '/my-event')}`);
  const [member] = await gather(t, meter, ['here']);
  await shows(page, '#total', '1');
  await until('its row', async () => (await table(page)).join() === 'here 1');
  assert.equal(await page.title(), '1 · Audience Meter');
  await shows(page, '#chosen', 'here');
  await shows(page, '#now', '1');
  member.destroy();
  await shows(page, '#total', '0');
  await until('its row', async () => (await table(page)).join() === 'here 0');
  assert.deepEqual(page.complaints, []);
});

test('totals, figures and stays are those of the daemon', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['large', 'large', 'small']);
  const [short] = await gather(t, meter, ['large']);
  short.destroy();
  const page = await openDashboard(t, meter, '#/large');
  await shows(page, '#total', '3');
  await shows(page, '#occupied', '2');
  await shows(page, '#known', 'of 2 known');
  await shows(page, '#connections', '4');
  await shows(page, '#largest', '3');
  await shows(page, '#uncounted', '0');
  await shows(page, '#now', '2');
  await shows(page, '#peak', '3');
  await shows(page, '#joined', '3');
  await shows(page, '#stayed', '1 has left after 0 s to 1 s');
  const stays = await page.locator('#stays li').evaluateAll((items) => items.map((item) => item.title));
  assert.equal(stays.length, 16);
  assert.equal(stays[0], 'below 1 s: 1 stay, 100 %');
  assert.equal(stays[10], '8 min to 17 min: 0 stays, 0 %');
  await page.click('#all');
  await shows(page, '#chosen', 'All events');
  await shows(page, '#joined', '4');
  await shows(page, '#note', 'Live, since this page was opened');
  assert.ok(await page.locator('#links').isHidden());
});

test('names are sorted and searched as they are read', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['b', 'b', 'b', 'a', 'caf%C3%A9', 'caf%C3%A9']);
  const page = await openDashboard(t, meter);
  const rows = ['b 3', 'café 2', 'a 1'];
  await until('the rows', async () => (await table(page)).join() === rows.join());
  const head = (name) => page.locator('[role=columnheader] button', { hasText: name });
  await head('Members').click();
  await until('the least first', async () => (await table(page)).join() === rows.toReversed().join());
  await head('Name').click();
  await until('by name', async () => (await table(page)).join() === 'a 1,b 3,café 2');
  assert.equal(await page.locator('[aria-sort=ascending]').textContent(), 'Name');
  await page.fill('#search', 'FÉ');
  await until('the one', async () => (await table(page)).join() === 'café 2');
  await shows(page, '#found', '1 of 3');
  await page.fill('#search', 'caf%c3');
  await until('none', async () => (await table(page)).join() === '');
  await page.waitForSelector('#nothing');
  await page.keyboard.press('Escape');
  await until('all', async () => (await table(page)).length === 3);
});

test('10,000 namespaces are as many rows as fit', async (t) => {
  const meter = await Meter.start(t, ...KEPT, '--max-connections', '2000');
  const names = Array.from({ length: 10_000 }, (_, number) => `event-${String(number).padStart(5, '0')}`);
  // All came, few are left.
  for (let from = 0; from < names.length; from += 250) {
    const members = await gather(t, meter, names.slice(from, from + 250));
    for (const member of members.slice(5)) member.destroy();
  }
  // The largest is not among those that are told first.
  await gather(t, meter, Array(7).fill(names.at(-1)));
  const page = await openDashboard(t, meter);
  await shows(page, '#found', '10,000');
  await shows(page, '#chosen', names.at(-1));
  await shows(page, '#total', '207');
  await shows(page, '#occupied', '201');
  await page.locator('[role=columnheader] button', { hasText: 'Name' }).click();
  await page.evaluate(() => {
    window.most = 0;
    new MutationObserver(() => {
      window.most = Math.max(window.most, document.querySelectorAll('.row').length);
    }).observe(document.getElementById('rows'), { childList: true });
  });
  for (const share of [0.1, 0.5, 0.35, 0.9, 1]) {
    const expected = await page.evaluate(async (part) => {
      const grid = document.getElementById('grid');
      grid.scrollTop = part * (grid.scrollHeight - grid.clientHeight);
      return Math.floor(grid.scrollTop / 36);
    }, share);
    await until(`row ${expected}`, async () => (await table(page)).includes(`${names[expected]} ${expected % 250 < 5 ? 1 : 0}`));
  }
  assert.equal((await table(page)).at(-1), `${names.at(-1)} 7`);
  const { most, fit } = await page.evaluate(() => ({ most: window.most, fit: document.getElementById('grid').clientHeight / 36 }));
  assert.ok(most <= fit + 12, `${most} rows where ${fit} fit`);
  await page.fill('#search', '9999');
  await until('the last', async () => (await table(page)).join() === 'event-09999 7');
  await gather(t, meter, ['event-09999']);
  await until('who came', async () => (await table(page)).join() === 'event-09999 8');
  assert.deepEqual(page.complaints, []);
});

test('rows stay under a pointer that moves', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['first', 'first', 'second']);
  const page = await openDashboard(t, meter);
  await until('both', async () => (await table(page)).join() === 'first 2,second 1');
  const box = await page.locator('#rows').boundingBox();
  let step = 0;
  const move = () => page.mouse.move(box.x + 100 + (step += 1) % 50, box.y + 20);
  await move();
  // While they come too, however long that takes.
  let areThere = false;
  const moving = (async () => { while (!areThere) await move(); })();
  await gather(t, meter, ['second', 'second']).finally(() => { areThere = true; });
  await moving;
  await until('the count', async () => {
    await move();
    return (await table(page)).join() === 'first 2,second 3';
  });
  await remains('first 2,second 3', async () => {
    await move();
    return (await table(page)).join();
  }, 2_000);
  await page.mouse.move(5, 5);
  await until('the order', async () => (await table(page)).join() === 'second 3,first 2');
});

test('the chart has the peak where it was, and what a minute had', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const members = await gather(t, meter, Array(7).fill('match'));
  await until('the peak', async () => await meter.members('match') === 7);
  for (const member of members.slice(2)) member.destroy();
  await until('the rest', async () => await meter.members('match') === 2);
  const page = await openDashboard(t, meter, '#/match');
  const peak = page.locator('#chart .peak-label');
  await until('the label', async () => /^Peak 7 · \d\d:\d\d$/.test(await peak.textContent().catch(() => '')));
  await shows(page, '#note', '');
  // As high as the axis says; all at once, for it is drawn anew each second.
  const [marks, labels, cy] = await page.evaluate(() => {
    const all = (selector) => [...document.querySelectorAll(`#chart ${selector}`)];
    return [
      all('.grid').map((line) => Number(line.getAttribute('y1'))),
      all('text[text-anchor="end"]').map(({ textContent }) => Number(textContent)),
      Number(all('circle.peak')[0].getAttribute('cy')),
    ];
  });
  const [low, high] = [labels[0], labels[marks.length - 1]];
  const expected = marks[0] + (marks.at(-1) - marks[0]) * (7 - low) / (high - low);
  assert.ok(Math.abs(cy - expected) < 0.5, `at ${cy}, not ${expected}`);
  assert.equal(await page.locator('#chart .joins').count(), 1);
  assert.match(await page.getAttribute('#chart', 'aria-label'), /^From .* to .*, UTC\S*: 0 to 7 members; Peak 7 · \d\d:\d\d$/);
});

test('ranges, the cross-hair and the live values of a day of history', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['show']);
  const page = await openDashboard(t, meter, '#/show', { timezoneId: 'Asia/Kolkata' }, (it) => it.route('**/history/show.json', (route) => route.fulfill({ json: dayOf('show') })));
  const peak = page.locator('#chart .peak-label');
  await until('the hour', async () => /^Most 150 · /.test(await peak.textContent().catch(() => '')));
  assert.equal(await page.textContent('#chart .zone'), 'UTC+5:30');
  assert.equal(await page.textContent('#per'), 'in a minute');
  await page.locator('#spans label', { hasText: '24 h' }).click();
  await until('the day', async () => /^Most 900 · /.test(await peak.textContent()));
  assert.equal(await page.locator('#spans input:checked').getAttribute('value'), '24h');
  assert.match(await page.textContent('#per'), /^in \d+ minutes$/);
  const [up, down] = await page.locator('#chart .scale').allTextContents();
  assert.ok(/^\+\d+$/.test(up) && down === up.replace('+', '−'), `${up} ${down}`);
  const box = await page.locator('#chart').boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2);
  await page.waitForSelector('#tip');
  const [time, average, range, moves] = await page.locator('#tip > *').allTextContents();
  assert.match(time, /\d\d:\d\d – \d\d:\d\d$/);
  assert.match(average, /^[\d,.]+ members$/);
  assert.match(range, /^\d+ to \d+$/);
  assert.match(moves, /^\d+ came, \d+ left$/);
  await page.mouse.move(2, 2);
  await page.waitForSelector('#tip', { state: 'hidden' });
  await page.focus('#chart');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await until('the words', async () => /came, .* left$/.test(await page.textContent('#hair')));
});

test('by touch a row is chosen, the table scrolls, and the chart tells what it is tapped at', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const names = Array.from({ length: 40 }, (_, number) => `n-${String(number).padStart(2, '0')}`);
  await gather(t, meter, [...names, ...names.slice(0, 1)]);
  const page = await openDashboard(t, meter, '', { hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
  await shows(page, '#chosen', 'n-00');
  await shows(page, '#found', '40');
  const touches = await page.context().newCDPSession(page);
  const swipe = async (x, from, to) => {
    await touches.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x, y: from }] });
    for (let step = 1; step <= 10; step += 1) {
      await touches.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [{ x, y: from + (to - from) * step / 10 }] });
    }
    await touches.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  };
  await page.locator('#grid').scrollIntoViewIfNeeded();
  const grid = await page.locator('#grid').boundingBox();
  await swipe(150, grid.y + 250, grid.y + 50);
  await until('another place', () => page.evaluate(() => document.getElementById('grid').scrollTop > 50));
  await page.locator('.row:not([hidden]) .name', { hasText: 'n-09' }).tap();
  await shows(page, '#chosen', 'n-09');
  await until('the chart', async () => await page.locator('#chart .line').count() > 0);
  await page.locator('#chart').scrollIntoViewIfNeeded();
  const chart = await page.locator('#chart').boundingBox();
  const tip = page.locator('#tip');
  assert.ok(await tip.isHidden());
  await page.touchscreen.tap(chart.x + chart.width - 16, chart.y + 60);
  await shows(page, '#tip b', '1 member');
  await remains(true, () => tip.isVisible(), 1_500);
  await page.touchscreen.tap(chart.x + 60, chart.y - 60);
  await tip.waitFor({ state: 'hidden' });
});

test('where no history is kept, the chart is of what is live, and says so', async (t) => {
  const meter = await Meter.start(t, ...KEPT, '--history-namespaces', '0');
  await gather(t, meter, ['quiet']);
  const page = await openDashboard(t, meter, '#/quiet');
  await shows(page, '#note', 'No history is kept of it: live, since this page was opened');
  await gather(t, meter, ['quiet', 'quiet']);
  await shows(page, '#now', '3');
  await until('the line', async () => /^From .*: 1 to 3 members; (Most|Peak) 3 · /.test(await page.getAttribute('#chart', 'aria-label')));
  await shows(page, '#chart .peak-label', await page.textContent('#chart .peak-label'));
  assert.equal(await page.locator('#chart .joins').count(), 0);
});

test('names from strangers are text', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const names = [
    '%3Cimg%20src%3Dx%20onerror%3D%22window.ran%3Dtrue%22%3E', '"><script>window.ran=true<', "'onclick='window.ran=true",
    '__proto__', 'constructor', '%FF', '%E2%80%AEevil', '%00', 'a=b=c', '..', 'a%2Fb', 'x'.repeat(255), '</style>'.replace('/', '%2F'),
  ];
  await gather(t, meter, names);
  const page = await openDashboard(t, meter);
  await shows(page, '#occupied', String(names.length));
  await shows(page, '#found', String(names.length));
  const seen = await page.locator('.row:not([hidden]) .name bdi').evaluateAll((all) => all.map(({ title, textContent }) => [title, textContent]));
  const shown = Object.fromEntries(seen.filter(([title]) => title !== '__proto__'));
  assert.equal(seen.length, names.length);
  assert.equal(shown[names[0]], '<img src=x onerror="window.ran=true">');
  assert.equal(shown[names[1]], names[1]);
  for (const name of ['constructor', '%FF', '%E2%80%AEevil', '%00', 'a=b=c']) assert.equal(shown[name], name);
  assert.equal(shown['a%2Fb'], 'a/b');
  for (const [title, text] of seen) {
    await page.locator('.row:not([hidden]) .name bdi').getByText(text, { exact: true }).click();
    await shows(page, '#chosen', text);
    await shows(page, '#now', '1');
    assert.equal(await page.getAttribute('#chosen', 'title'), title);
  }
  await until('the feed', async () => await page.locator('#feed li').count() > 0 || gather(t, meter, names));
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.deepEqual(page.complaints, []);
});

test('the figures of a strange name are its own', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const names = ['a', 'a#b', '..', '"q"', 'back\\slash', 'it%20is', 'a*', '*'];
  const members = await gather(t, meter, names.flatMap((name, index) => Array(index + 2).fill(name)));
  // One of each leaves.
  for (let first = 0, index = 0; index < names.length; first += index + 2, index += 1) members[first].destroy();
  for (const [index, name] of names.entries()) await until(`who left ${name}`, async () => await meter.members(name) === index + 1);
  const page = await openDashboard(t, meter, '#/a');
  await shows(page, '#found', String(names.length));
  for (const [index, name] of names.entries()) {
    const told = name.replace(/\*$/, '%2A');
    await page.evaluate((hash) => { location.hash = hash; }, hashOf(told));
    await shows(page, '#chosen', readable(told));
    await shows(page, '#now', String(index + 1));
    await shows(page, '#joined', String(index + 2));
    await until(`the stay at ${name}`, async () => (await page.textContent('#stayed')).startsWith('1 has left'));
    await shows(page, '#note', '');
    // It fails where the browser was too slow to speak.
    const history = await until('its history', () => page.evaluate(() => {
      const { href } = document.querySelector('#links a[href*=json]');
      return fetch(href).then((answer) => answer.json()).catch(() => null);
    }));
    assert.equal(history.namespace, name);
  }
  await shows(page, '#found', String(names.length));
  await shows(page, '#connections', String(names.length * (names.length + 3) / 2));
  await until('all their figures', async () => await page.locator('.row:not([hidden]) .peak', { hasText: '–' }).count() === 0);
  assert.deepEqual(page.complaints, []);
});

test('the choice is in the address, and all of it is done by keyboard', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['one', 'one', 'one', 'two', 'two', '%C3%BC%25']);
  const page = await openDashboard(t, meter);
  await shows(page, '#chosen', 'one');
  await until('the rows', async () => (await table(page)).length === 3);
  await page.keyboard.press('/');
  await page.keyboard.type('t/w');
  assert.equal(await page.inputValue('#search'), 't/w');
  await page.keyboard.press('Escape');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'grid');
  await page.keyboard.press('ArrowDown');
  const active = await page.getAttribute('#grid', 'aria-activedescendant');
  assert.equal(await page.textContent(`#${active} .name`), 'two');
  await page.keyboard.press('Enter');
  await shows(page, '#chosen', 'two');
  assert.equal(new URL(page.url()).hash, '#/two');
  assert.equal(await page.getAttribute(`#${active}`, 'aria-selected'), 'true');
  await page.keyboard.press('End');
  await page.keyboard.press(' ');
  await shows(page, '#chosen', 'ü%');
  assert.equal(new URL(page.url()).hash, '#/%25C3%25BC%2525');
  await page.goBack();
  await shows(page, '#chosen', 'two');
  await page.goForward();
  await visit(page, meter, '#/%25C3%25BC%2525', () => page.reload());
  await shows(page, '#chosen', 'ü%');
  await shows(page, '#now', '1');
  await page.evaluate(() => document.activeElement.blur());
  const reached = [];
  for (let tabs = 0; tabs < 22; tabs += 1) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.value || document.activeElement.textContent.trim()));
  }
  for (const stop of ['theme', 'search', 'all', 'grid', 'Members', '1h', 'chart', 'History, CSV', 'only', 'feed']) {
    assert.ok(reached.includes(stop), `${stop} is not among ${reached}`);
  }
});

test('a screen reader finds the rows in their order, and the cursor where it is', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const names = Array.from({ length: 60 }, (_, number) => `n-${String(number).padStart(2, '0')}`);
  const came = names.flatMap((name, number) => Array(1 + number % 3).fill(name));
  await gather(t, meter, came);
  const page = await openDashboard(t, meter);
  await shows(page, '#found', '60');
  const inOrder = () => until('the order of the document', () => page.evaluate(() => {
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    const places = [...document.querySelectorAll('.row:not([hidden])')].map((row) => Number(row.ariaRowIndex));
    return new Set(ids).size === ids.length && places.every((place, index) => index === 0 || place === places[index - 1] + 1);
  }));
  await inOrder();
  await page.locator('[role=columnheader] button', { hasText: 'Name' }).click();
  await inOrder();
  for (const top of [300, 250, 1e6, 0]) {
    await page.evaluate((to) => { document.getElementById('grid').scrollTop = to; }, top);
    await until('the rows', async () => (await table(page)).length > 5);
    await inOrder();
  }
  const atCursor = () => page.evaluate(() => {
    const row = document.getElementById(document.getElementById('grid').getAttribute('aria-activedescendant'));
    return row && !row.hidden && row.classList.contains('cursor') && row.querySelector('.name').textContent;
  });
  await page.fill('#search', 'n-5');
  await until('ten', async () => (await table(page)).length === 10);
  await inOrder();
  await page.press('#search', 'ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await until('the cursor', async () => await atCursor() === 'n-52');
  // It stays there over a restart, though the page is back before the members are: of the names, its own comes last.
  await meter.stop();
  await shows(page, '#state', 'Reconnecting');
  await meter.run();
  await shows(page, '#total', '0');
  await page.waitForSelector('#empty');
  const found = (count) => shows(page, '#found', `${count} of ${count + 50}`);
  await gather(t, meter, came.filter((name) => name !== 'n-52'));
  await found(9);
  assert.equal(await atCursor(), null);
  await gather(t, meter, ['n-52']);
  await until('the cursor', async () => await atCursor() === 'n-52');
  await page.keyboard.press('ArrowUp');
  assert.equal(await atCursor(), 'n-51');
  await inOrder();
});

test('the cursor keeps its place among the names while its row is missing', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const names = ['a', 'b', 'c', 'd', 'e'];
  await gather(t, meter, names);
  const page = await openDashboard(t, meter);
  await page.locator('[role=columnheader] button', { hasText: 'Name' }).click();
  for (const [key, moved] of [['ArrowDown', 'd'], ['ArrowUp', 'b']]) {
    await until('the rows', async () => (await table(page)).join() === 'a 1,b 1,c 1,d 1,e 1');
    await page.focus('#grid');
    for (const step of ['Home', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(step);
    const cursor = page.locator('.row.cursor:not([hidden]) .name');
    assert.equal(await cursor.textContent(), 'c');
    await meter.stop();
    await meter.run();
    await gather(t, meter, names.filter((name) => name !== 'c'));
    await until('four rows', async () => (await table(page)).join() === 'a 1,b 1,d 1,e 1');
    await page.keyboard.press(key);
    assert.equal(await cursor.textContent(), moved);
    await gather(t, meter, ['c']);
  }
  // Without the focus the empty table is hidden.
  await page.focus('#search');
  await meter.stop();
  await meter.run();
  await page.waitForSelector('#grid', { state: 'hidden' });
});

test('milestones are told, the last fifty, and those of the chosen one alone', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['chosen']);
  const page = await openDashboard(t, meter, '#/chosen');
  await shows(page, '#state', 'Live');
  await shows(page, '#now', '1');
  await gather(t, meter, Array(10).fill('chosen'));
  const milestone = (text) => until(text, async () => (await feed(page)).includes(text));
  await milestone('chosen reached 10');
  await milestone('chosen peak of 11');
  await milestone('All events reached 10');
  const others = await gather(t, meter, Array.from({ length: 60 }, (_, number) => `other-${number}`));
  await until('fifty', async () => await page.locator('#feed li').count() === 50);
  for (const member of others) member.destroy();
  await until('that they left', async () => (await feed(page)).some((text) => /^other-\d+ all have left$/.test(text)));
  assert.equal(await page.locator('#feed li').count(), 50);
  await page.check('#only');
  await until('the chosen one alone', async () => (await feed(page)).every((text) => text.startsWith('chosen ')));
  await milestone('chosen reached 10');
  await page.uncheck('#only');
  await page.locator('#feed a', { hasText: 'other-' }).first().click();
  await until('the choice', async () => (await page.textContent('#chosen')).startsWith('other-'));
});

test('the page comes back with the daemon, and forgets what that does not know', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['before', 'before']);
  const page = await openDashboard(t, meter);
  await shows(page, '#total', '2');
  await meter.stop();
  await shows(page, '#state', 'Reconnecting');
  await shows(page, '#total', '2');
  await meter.run();
  await gather(t, meter, ['after']);
  await shows(page, '#state', 'Live');
  await shows(page, '#total', '1');
  await until('the rows', async () => (await table(page)).join() === 'after 1');
  await meter.stop();
  await shows(page, '#state', 'Server away');
  await page.waitForSelector('#nodes.away');
  assert.deepEqual(await faultsFoundByAxe(page), []);
});

test('a page that has slept begins anew, and tells nothing of that time', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, Array(5).fill('night'));
  for (const hash of ['#*', '#/night']) {
    let streams = 0;
    const page = await openDashboard(t, meter, hash, {}, async (it) => {
      await it.clock.install();
      it.on('request', (request) => { streams += request.url().endsWith('/?watch=*'); });
    });
    await shows(page, '#now', '5');
    const lines = () => page.locator('#chart .line').count();
    // More than one, where the browser was too slow to speak.
    const first = streams;
    // What lies before it is known from one second to the next.
    await page.clock.fastForward(2_000);
    const before = await until('a line', async () => await page.textContent('#note') !== 'Asking for its history' && lines());
    await page.clock.fastForward('10:00');
    await until('another stream', () => streams > first);
    await shows(page, '#state', 'Live');
    await shows(page, '#total', '5');
    await until('a gap', async () => await lines() === before + 1);
    assert.deepEqual(page.complaints, []);
    await page.close();
  }
});

test('nodes are listed, with who answers and who is silent', async (t) => {
  const meter = await Meter.start(t, ...TWO_WORKERS);
  const page = await openDashboard(t, meter);
  await until('two nodes', async () => await page.locator('#node-list li').count() === 2);
  await shows(page, '#node-count', '2');
  assert.equal(await page.locator('#node-list .own').count(), 1);
  assert.match(await page.textContent('#node-list .own'), /^[0-9a-f]{8}answers0 members$/);
  assert.match(await page.textContent('#node'), /^node [0-9a-f]{8}$/);
  assert.match(await page.textContent('#datagrams'), / [\d,]+ sent, [\d,]+ received, 0 dropped/);
  const members = [{ node: 'aa', members: 4, silent_ms: 0 }, { node: '00', members: 4, silent_ms: 9 }, { node: 'bb', members: 1, silent_ms: 4_200 }, { node: 'cc', members: 3, silent_ms: 0, draining: true }];
  const datagrams = { sent: 1, received: 2, dropped: { forged: 3, replayed: 4 }, overflowed: 5, send_errors: 6 };
  await page.route('**/cluster', (route) => route.fulfill({ json: { node: 'aa', members, silent: { nodes: 1, members: 1 }, datagrams, troubles: [] } }));
  await shows(page, '#node-count', '4, 1 silent');
  // What needs a look is first.
  assert.deepEqual(await page.locator('#node-list code').allTextContents(), ['bb', 'cc', 'aa', '00']);
  assert.equal(await page.textContent('#node-list .draining'), 'cclets its members go3 members');
  assert.equal(await page.textContent('#node-list .silent'), 'bbsilent for 4.2 s1 member');
  assert.match(await page.textContent('#datagrams'), /: 1 sent, 2 received, 7 dropped, 5 lost here, 6 not sent$/);
});

for (const colorScheme of ['light', 'dark']) {
  test(`what makes the total doubtful is said, with what ends it, ${colorScheme}`, async (t) => {
    const meter = await Meter.start(t, ...ALONE, '--cluster-node-timeout', '0.5');
    const page = await openDashboard(t, meter, '', { colorScheme });
    await shows(page, '#node-count', '1');
    assert.equal(await page.textContent('#trouble-said'), '');
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    t.after(() => socket.close());
    await once(socket, 'listening');
    socket.setMulticastInterface('127.0.0.1');
    const { port } = new URL(meter.url('audience', '/'));
    socket.send(Buffer.from('AM\x4d and what this version does not read'), port, '239.255.13.37');
    await shows(page, '#node-count', '1, 1 trouble');
    const remedy = /a node of a version that this one cannot read sends here, .*; upgrade the older\.$/i;
    assert.match(await page.textContent('#trouble-said'), new RegExp(`^Foreign version: ${remedy.source}`, 'i'));
    const item = page.locator('#troubles li');
    assert.match(await item.locator('span').textContent(), new RegExp(`^127\\.0\\.0\\.1:${socket.address().port}; for \\d s$`));
    assert.match(await item.locator('p').textContent(), remedy);
    await screenshot(page, `troubles-${colorScheme}.png`);
    assert.deepEqual(await faultsFoundByAxe(page), []);
    await shows(page, '#node-count', '1');
    assert.equal(await item.count(), 0);
    assert.equal(await page.textContent('#trouble-said'), '');
  });
}

test('troubles of one kind are one, with their places, nodes and clocks', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openDashboard(t, meter);
  const [members, datagrams] = [[{ node: 'aa', members: 4, silent_ms: 0 }], { sent: 1, received: 2, dropped: {}, overflowed: 5, send_errors: 6 }];
  const trouble = { kind: 'clock_skew', address: '10.0.0.2:80', node: '0123456789abcdef', skew_ms: 61_250, since_s: 90, count: 7, remedy: 'set the clocks' };
  const others = { ...trouble, address: null, node: null, skew_ms: null, since_s: 7_300 };
  const unkeyed = { ...others, kind: 'unkeyed', address: '<b>', remedy: 'a key' };
  const troubles = [trouble, others, unkeyed];
  await page.route('**/cluster', (route) => route.fulfill({ json: { node: 'aa', members, silent: { nodes: 0, members: 0 }, datagrams, troubles } }));
  await shows(page, '#node-count', '1, 2 troubles');
  assert.deepEqual(await page.locator('#troubles li').allTextContents(), [
    'Clock skew10.0.0.2:80 node 01234567 61.3 s off, others; for 2 hSet the clocks.', 'Unkeyed<b>; for 2 hA key.',
  ]);
  assert.equal(await page.textContent('#trouble-said'), 'Clock skew: set the clocks. Unkeyed: a key.');
});

test('a page that is refused says so, and comes in later', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const full = '**/?watch=*';
  const page = await openDashboard(t, meter, '', {}, (it) => it.route(full, (route) => route.fulfill({ status: 503, body: 'full' })));
  await shows(page, '#state', 'Connecting');
  await shows(page, '#state', 'Refused');
  assert.equal(await page.getAttribute('#state', 'title'), 'full');
  await page.unroute(full);
  await shows(page, '#state', 'Live');
});

test('nothing is asked of anybody else, and little at a time', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, Array.from({ length: 30 }, (_, number) => `event-${number}`));
  const asked = [];
  let [running, most, streams] = [0, 0, 0];
  const page = await openDashboard(t, meter, '', {}, (it) => {
    // Of those that were answered: where the browser was too slow to speak, the page asks again.
    it.on('response', (response) => { streams += response.url().endsWith('/?watch=*'); });
    it.on('request', (request) => {
      asked.push(request.url());
      if (!request.url().includes('?watch=')) most = Math.max(most, running += 1);
    });
    for (const end of ['requestfinished', 'requestfailed']) {
      it.on(end, (request) => { if (!request.url().includes('?watch=')) running -= 1; });
    }
  });
  await shows(page, '#found', '30');
  for (const top of [0, 1e6]) {
    await page.evaluate((to) => { document.getElementById('grid').scrollTop = to; }, top);
    await until('the rows in sight', async () => {
      const names = (await table(page)).map((row) => row.split(' ')[0]);
      return names.length > 5 && names.every((name) => asked.includes(meter.url('stats', `/history/${name}.json`)));
    });
  }
  for (const url of asked) assert.equal(new URL(url).origin, new URL(meter.url('stats', '/')).origin);
  assert.equal(streams, 1);
  assert.ok(most <= 2, `${most} at once`);
  const others = asked.filter((url) => !NOT_FOUND.test(url)).map((url) => url.replace(/^.*?:\d+/, '').replace(/event-\d+/, 'event'));
  assert.deepEqual([...new Set(others)].sort(), ['/', '/?watch=*', '/cluster', '/namespace/event']);
  assert.deepEqual(page.complaints, []);
});

test('the page is not allowed what it does not need', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const page = await openDashboard(t, meter);
  await shows(page, '#state', 'Live');
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  await page.evaluate(() => {
    document.body.insertAdjacentHTML('beforeend', '<img src="/x.png">');
    fetch('http://127.0.0.1:9/').catch(() => {});
  });
  await until('two refusals', async () => {
    const violations = await page.evaluate(() => window.violations);
    return ['connect-src', 'img-src'].every((directive) => violations.includes(directive));
  });
});

test('light and dark are what the system says, or the button, which is remembered', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const context = await openContext(t, browser, { colorScheme: 'dark' });
  const page = await context.newPage();
  const ground = async () => /^rgb\(\d\d?,/.test(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)) ? 'dark' : 'light';
  await visit(page, meter);
  assert.equal(await ground(), 'dark');
  await page.click('#theme');
  assert.equal(await ground(), 'light');
  assert.equal(await page.getAttribute('#theme', 'aria-pressed'), 'false');
  await visit(page, meter, '', () => page.reload());
  assert.equal(await ground(), 'light');
  await page.click('#theme');
  assert.equal(await ground(), 'dark');
});

test('nothing moves by itself for those who want it so', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  for (const [reducedMotion, moving] of [['no-preference', true], ['reduce', false]]) {
    const page = await openDashboard(t, meter, '', { reducedMotion });
    await shows(page, '#state', 'Live');
    assert.equal(await page.evaluate(() => document.getAnimations().length > 0), moving, reducedMotion);
    await page.close();
  }
});

test('it fits any screen', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['x'.repeat(255), 'short']);
  for (const width of [320, 360, 768, 1024, 1440, 1920, 2560, 3840]) {
    const page = await openDashboard(t, meter, `#/${'x'.repeat(255)}`, { viewport: { width, height: 900 } });
    await shows(page, '#now', '1');
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `wider than ${width}`);
    const clipped = await page.$$eval('.totals small:not(#largest-of)', (all) => all.filter((small) => small.scrollWidth > small.clientWidth).map((small) => small.textContent));
    assert.deepEqual(clipped, [], `at ${width}`);
    await page.close();
  }
});

for (const colorScheme of ['light', 'dark']) {
  for (const [device, viewport] of Object.entries({ desktop: [1440, 900], phone: [390, 844] })) {
    test(`what the dashboard looks like, ${colorScheme}, ${device}`, async (t) => {
      const meter = await Meter.start(t, ...KEPT);
      const names = [
        'finale', 'opening-night', 'caf%C3%A9', 'Finale%202%2F2', 'keynote', 'chess-world-cup', 'news-tonight', 'derby', 'gala',
      ];
      const size = (name) => 60 - 6 * names.indexOf(name);
      await gather(t, meter, names.flatMap((name) => Array(size(name)).fill(name)));
      const options = { colorScheme, viewport: { width: viewport[0], height: viewport[1] } };
      const page = await openDashboard(t, meter, '#/finale', options, (it) => openedYesterday(it, size));
      await shows(page, '#now', '60');
      await until('the small charts', async () => await page.locator('.trend path').evaluateAll((paths) => paths.filter((path) => path.getAttribute('d').length > 100).length) > 4);
      await gather(t, meter, ['late', ...Array(40).fill('finale')]);
      await until('a milestone', async () => (await feed(page)).includes('finale reached 100'));
      await screenshot(page, `dashboard-${colorScheme}-${device}.png`);
      assert.deepEqual(await faultsFoundByAxe(page), []);
      await meter.stop();
      await shows(page, '#state', 'Reconnecting');
      assert.deepEqual(await faultsFoundByAxe(page), []);
    });
  }
}

test('of 96 nodes the silent one is in sight, and the box is no higher than the one beside it', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const members = Array.from({ length: 96 }, (_, number) => ({ node: `${number + 100}`, members: 1, silent_ms: number === 95 ? 4_200 : 0 }));
  const cluster = { node: '100', members, silent: { nodes: 1, members: 1 }, datagrams: { sent: 1, received: 2, dropped: {}, overflowed: 0, send_errors: 0 }, troubles: [] };
  for (const width of [390, 1280, 1920]) {
    const page = await openDashboard(t, meter, '', { viewport: { width, height: 900 } }, (it) => it.route('**/cluster', (route) => route.fulfill({ json: cluster })));
    await shows(page, '#node-count', '96, 1 silent');
    assert.match(await page.textContent('#node-list li'), /^195silent for/);
    const high = async (id) => (await page.locator(id).boundingBox()).height;
    assert.ok(await high('#nodes') < 600, `${await high('#nodes')} px at ${width}`);
    assert.deepEqual(await faultsFoundByAxe(page), []);
    await page.close();
  }
});

test('a number that does not fit is short, and a name is whole before there is a small chart', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const millions = { members: 12_226_808, connections: 158_948_511, peak: 30_567_020, peak_at: 1e9, average: 8_558_765.6, average_watch: 700, member_seconds: 1e12, uncounted: 0, created: 1e9, stays: Array(16).fill(161_990) };
  const rows = dayOf('big-event', 60).rows.map((row) => [...row.slice(0, 4), 161_990, 161_990]);
  for (const [width, now, title] of [[1280, '12,226,808', ''], [320, '12,226,808', ''], [280, '12.2M', '12,226,808']]) {
    const page = await openDashboard(t, meter, '#/big-event', { viewport: { width, height: 640 } }, async (it) => {
      await it.addInitScript(() => {
        const { fetch } = window;
        const counts = new TextEncoder().encode('event: counts\ndata: *=12226808\ndata: big-event=12226808\n\n');
        const headers = { 'Content-Type': 'text/event-stream' };
        const stream = () => new Response(new ReadableStream({ start: (to) => to.enqueue(counts) }), { headers });
        window.fetch = async (url, ...rest) => (String(url).includes('watch=') ? stream() : fetch(url, ...rest));
      });
      await it.route((url) => url.pathname === '/' && !url.search, (route) => (route.request().isNavigationRequest() ? route.continue() : route.fulfill({ json: { 'big-event': millions } })));
      await it.route('**/namespace/**', (route) => route.fulfill({ json: millions }));
      await it.route('**/history/**', (route) => route.fulfill({ json: { rows } }));
    });
    await shows(page, '#total', '12,226,808');
    await shows(page, '#now', now);
    assert.equal(await page.getAttribute('#now', 'title') ?? '', title);
    await until('the moves', async () => await page.locator('#chart .scale').count() === 2);
    const cut = await page.evaluate(() => {
      const right = (it) => it.getBoundingClientRect().right;
      const cells = [...document.querySelectorAll('.row:not([hidden]) > :not(.trend)')].filter((it) => it.scrollWidth > it.clientWidth);
      const numbers = [...document.querySelectorAll('.totals strong, dd b')].filter((it) => right(it) > right(it.closest('dd, .totals > div')) + 1);
      const wide = [...cells, ...numbers];
      const left = document.getElementById('chart').getBoundingClientRect().left;
      return [...wide, ...[...document.querySelectorAll('#chart text')].filter((it) => it.getBoundingClientRect().left < left - 0.5)].map(({ textContent }) => textContent);
    });
    if (width >= 320) assert.deepEqual(cut, [], `at ${width}`);
    assert.deepEqual(await page.locator('#chart .scale').allTextContents(), ['+162K', '−162K']);
    await page.close();
  }
});

test('a first minute is a box, and a peak that was not seen stands on a stem', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, ['show']);
  const minute = Math.floor(Date.now() / 60_000) * 60 - 60;
  const figures = (peak, peakAt) => async (it) => {
    await it.route('**/history/show.json', (route) => route.fulfill({ json: { rows: [[minute, 2, 4, 6, 6, 0]] } }));
    await it.route('**/namespace/show', async (route) => {
      const of = await route.fetch().then((answer) => answer.json()).catch(() => null);
      if (of) await route.fulfill({ json: { ...of, peak, peak_at: peakAt } }).catch(() => {});
    });
  };
  for (const [peak, peakAt, stems] of [[6, minute + 50, 0], [9, minute + 60, 1]]) {
    const page = await openDashboard(t, meter, '#/show', {}, figures(peak, peakAt));
    await until('the peak', async () => (await page.locator('#chart .peak-label').textContent().catch(() => '')).startsWith(`Peak ${peak} `));
    // The peak may be known before the minute.
    await until('the minute', async () => (await page.getAttribute('#chart .band', 'd').catch(() => '')).match(/[ML]/g)?.length === 6);
    assert.equal(await page.locator('#chart .stem').count(), stems);
    const [ring, xs] = await page.evaluate(() => [
      Number(document.querySelector('#chart .peak').getAttribute('cx')),
      document.querySelector('#chart .band').getAttribute('d').match(/[ML][\d.]+/g).map((part) => Number(part.slice(1))),
    ]);
    // Six corners: both edges and the middle, above and below.
    assert.equal(xs.length, 6);
    assert.deepEqual(xs.slice(0, 3), xs.slice(3).reverse());
    assert.ok(xs[2] - xs[0] > 100, `from ${xs[0]} to ${xs[2]}`);
    if (!stems) assert.ok(Math.abs(ring - xs[1]) < 0.2, `${ring} is not above ${xs[1]}`);
    await page.close();
  }
});

for (const colorScheme of ['light', 'dark']) {
  test(`with forced colours all that a colour says is there, ${colorScheme}`, async (t) => {
    const meter = await Meter.start(t, ...KEPT);
    const [gone] = await gather(t, meter, ['match', 'match', 'other']);
    gone.destroy();
    const page = await openDashboard(t, meter, '#/match', { forcedColors: 'active', colorScheme }, openedLongAgo);
    await until('who left', async () => (await page.textContent('#stayed')).startsWith('1 has left'));
    await until('the rows', async () => (await table(page)).length === 2);
    await until('the nodes', async () => await page.locator('#node-list i').count() === 1);
    // Each against what lies around it.
    const differs = (selector, other, pseudo) => page.evaluate(([it, ground, part]) => {
      const of = (found, pseudoElement) => getComputedStyle(document.querySelector(found), pseudoElement).backgroundColor;
      return of(it, part) !== of(ground);
    }, [selector, other, pseudo]);
    for (const selector of ['.row[aria-selected="true"]', 'fieldset :checked + span', '#stays .median i', '#node-list i']) {
      assert.ok(await differs(selector, '.card'), selector);
    }
    for (const key of ['line', 'band', 'joins']) assert.ok(await differs(`.key-${key}`, '.card', '::before'), key);
    assert.ok(await differs('#state', 'body', '::before'), 'the state');
    assert.deepEqual(await faultsFoundByAxe(page), []);
    await screenshot(page, `dashboard-forced-${colorScheme}.png`);
    await page.click('#all');
    await until('all events', () => differs('#all', '.card'));
    assert.deepEqual(await faultsFoundByAxe(page), []);
  });
}

test('on paper there are all rows and no buttons', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  await gather(t, meter, Array.from({ length: 60 }, (_, number) => `n-${number}`));
  const page = await openDashboard(t, meter, '', { colorScheme: 'dark' });
  await shows(page, '#found', '60');
  await page.emulateMedia({ media: 'print' });
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  const isWhole = () => page.evaluate(() => {
    const rows = [...document.querySelectorAll('.row:not([hidden])')].map((row) => row.getBoundingClientRect());
    return rows.length === 60 && rows.every(({ top }, index) => !index || top >= rows[index - 1].bottom - 1);
  });
  assert.ok(await isWhole());
  for (const id of ['#search', '#all', '#theme', '#links', 'nav']) assert.ok(await page.locator(id).isHidden(), id);
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.card')).backgroundColor), 'rgb(255, 255, 255)');
  assert.deepEqual(await faultsFoundByAxe(page), []);
  await screenshot(page, 'dashboard-print.png');
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  await page.emulateMedia({ media: 'screen' });
  await until('the rows in sight', async () => await page.locator('.row:not([hidden])').count() < 40);
});

test('without JavaScript the page says so', async (t) => {
  const meter = await Meter.start(t, ...KEPT);
  const page = await openPage(t, browser, { javaScriptEnabled: false });
  await visit(page, meter);
  assert.match(await page.textContent('noscript'), /JavaScript/);
});

test('what is remembered is bounded, however long it is told', () => {
  const [trace, recorder] = [new Trace(), new Recorder()];
  for (let second = 0; second < 100_000; second += 1) {
    trace.note(second, second, 1);
    recorder.note(second, second % 50);
    assert.ok(trace.points.length <= 124 && recorder.points.length <= 902 && recorder.rows.length <= 1_440);
  }
  assert.deepEqual(trace.points.slice(-2), [99_990, 99_999]);
  assert.deepEqual(recorder.rows.at(-1).slice(0, 4).map(Math.round), [99_900, 0, 21, 49]);
  assert.deepEqual(recorder.rows[0][0], 99_960 - 60 * 1_440);
  for (let second = 0; second < 100_000; second += 15) trace.note(100_000 + second, second, 1e6);
  assert.equal(trace.points.length, 8);
  // Of what is not known since a time that is past, nothing was noted.
  const asleep = new Recorder();
  for (const [second, value] of [[0, 1], [90, 2], [400, 2], [410, 3], [95, null], [420, 5], [600, 5]]) asleep.note(second, value);
  assert.deepEqual(asleep.points, [[0, 1], [90, 2], [95, null], [420, 5]]);
  assert.deepEqual(asleep.rows, [[0, 1, 1, 1, null, null], [420, 5, 5, 5, null, null], [480, 5, 5, 5, null, null], [540, 5, 5, 5, null, null]]);
  // Nothing is known of a loss, and a page that slept for days begins anew.
  recorder.note(100_000, null);
  recorder.note(200_000, 7);
  recorder.note(500_000, 8);
  assert.ok(recorder.rows.length <= 1_440);
  assert.equal(recorder.rows.at(-1)[0], 99_900, 'of a minute that was not seen whole');
});

test('a name is shown as it is read, and comes back from the address as it was sent', () => {
  for (const [name, shown] of [
    ['a', 'a'], ['caf%C3%A9', 'café'], ['%', '%'], ['%e9', '%e9'], ['%20', '%20'], ['a%20b', 'a b'], ['%0A', '%0A'],
    ['%E2%80%AEx', '%E2%80%AEx'], ['%E2%80%8B', '%E2%80%8B'], ['%E2%80%8Ba', '%E2%80%8Ba'], ['%C2%ADa', '%C2%ADa'],
    ['%EF%BB%BFa', '%EF%BB%BFa'], ['%E3%85%A4', '%E3%85%A4'], ['%E2%80%8D', '%E2%80%8D'], ['%E2%81%A2', '%E2%81%A2'], ['%C2%A0', '%C2%A0'],
    ['caf%C3%A9%E2%80%AEx', 'café%E2%80%AEx'], ['%CC%81a', '%CC%81a'], ['a%CC%81%CC%82', 'a\u0301\u0302'], [`z${'%CC%81'.repeat(5)}`, `z${'%CC%81'.repeat(5)}`],
    ['%E0%B8%97%E0%B8%B5%E0%B9%88', 'ที่'], ['%E0%A4%95%E0%A5%8D%E0%A4%B7%E0%A5%87', 'क्षे'],
    ['%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7', '👩‍👧'], ['%E2%9D%A4%EF%B8%8F', '❤️'], ['%D7%A9%D7%9C%D7%95%D7%9D', 'שלום'],
    ['%3Cb%3E', '<b>'], ['__proto__', '__proto__'], ['*', '*'], ['"<>`', '"<>`'],
  ]) {
    assert.equal(readable(name), shown);
    assert.equal(nameOf(new URL(hashOf(name), 'http://localhost/').hash), name);
  }
  assert.equal(nameOf(hashOf(null)), null);
  for (const hash of ['', '#', '#/', '#a', '#/%']) assert.equal(nameOf(hash), undefined, hash);
});

/** The dashboard in a browser profile of its own. Errors of any kind are in `page.complaints`. */
async function openDashboard(t, meter, hash = '', options = {}, prepare = () => {}) {
  const page = await openPage(t, browser, options);
  page.on('console', (message) => {
    const isNotFound = /\b404\b/.test(message.text()) && NOT_FOUND.test(message.location().url);
    const isTold = isNotFound || TOO_SLOW.test(message.text());
    if (message.type() === 'error' && !isTold) page.complaints.push(`${message.text()} ${message.location().url}`);
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.effectiveDirective));
  });
  await prepare(page);
  await visit(page, meter, hash);
  return page;
}

/** Goes to the dashboard, again if the browser was too slow to speak; the first time by `go`. */
async function visit(page, meter, hash = '', go = () => page.goto(meter.url('stats', `/${hash}`))) {
  let next = go;
  await until('the page', async () => next().catch(async (error) => {
    if (!TOO_SLOW.test(error.message)) throw error;
    // Not from the page of the error, which may still be on its way.
    await page.goto('about:blank').catch(() => {});
    next = () => page.goto(meter.url('stats', `/${hash}`));
  }));
}

/** The rows that are in sight, from the top: each a name and its members. */
async function table(page) {
  return page.evaluate(() => {
    const { top, bottom } = document.getElementById('grid').getBoundingClientRect();
    return [...document.querySelectorAll('.row:not([hidden])')]
      .map((row) => ({ row, y: row.getBoundingClientRect().top }))
      .filter(({ y }) => y < bottom && y + 36 > top)
      .sort((a, b) => a.row.ariaRowIndex - b.row.ariaRowIndex)
      .map(({ row }) => `${row.querySelector('.name').textContent} ${row.querySelector('.members').textContent}`);
  });
}

/** What the feed says, the latest first. */
function feed(page) {
  return page.locator('#feed li').evaluateAll((items) => items.map((item) => [...item.children].slice(1, 3).map((part) => part.textContent).join(' ')));
}

/** For a page whose daemon has just been started: as if it had been there for a day. */
async function openedYesterday(page, size) {
  await page.route('**/history/*.json', (route) => {
    const name = /([^/]*)\.json$/.exec(route.request().url())[1];
    return name === 'derby' ? route.continue() : route.fulfill({ json: dayOf(name, size(name)) });
  });
  await page.route('**/namespace/finale', async (route) => {
    // What was asked for last may be answered when the page is closed.
    const figures = await route.fetch().then((answer) => answer.json()).catch(() => null);
    if (!figures) return;
    const created = figures.created - 86_000;
    const stays = [310, 190, 160, 150, 170, 220, 300, 420, 640, 900, 1_240, 1_390, 980, 410, 120, 30];
    const day = { created, connections: 7_690, member_seconds: 5_431_000, average: 63.2, average_watch: 706.2, stays };
    await route.fulfill({ json: { ...figures, ...day } }).catch(() => {});
  });
}

/** For a page whose daemon has just been started: it has a history already. */
async function openedLongAgo(page) {
  await page.route('**/history/*.json', (route) => route.fulfill({ json: dayOf('match') }));
}

/** A day of minutes up to now: 900 at most, ten hours ago, and 150 in the last hour; or as many times that as `now` is 60. */
function dayOf(namespace, now = 60) {
  const end = Math.floor(Date.now() / 60_000);
  const bell = (minute, at, width) => Math.exp(-(((minute - at) / width) ** 2));
  const rows = Array.from({ length: 1_440 }, (_, minute) => {
    const wave = 1 + Math.sin(minute / 23) * Math.sin(minute / 7) * 0.06;
    const day = (150 + 640 * bell(minute, 840, 220)) * wave;
    const average = minute > 1_370 ? 60 + 42 * Math.sin((1_439 - minute) / 23) + 35 * bell(minute, 1_400, 4) : day;
    const spread = 3 + average / 40;
    const most = { 840: 900, 1_400: 150 }[minute] ?? Math.min(average + spread, minute > 1_370 ? 149 : 899);
    const joins = Math.round(average / 20 + 3 * Math.sin(minute / 3) ** 2);
    const numbers = [average - spread, average, most, joins, joins + 2 * (minute % 2) - 1];
    return [60 * (end - 1_439 + minute), ...numbers.map((value) => Math.max(Math.round(value * now / 60), 0))];
  });
  return { namespace, step: 60, columns: ['time', 'min', 'average', 'max', 'joins', 'leaves'], rows };
}
