// moves.test.mjs: pages that change without being loaded anew: a number that moves with them is no leave, and no second member.

import assert from 'node:assert/strict';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, remains, serve, shows, until } from './harness.mjs';

const SCRIPTS = {
  '/turbo.js': new URL('node_modules/@hotwired/turbo/dist/turbo.es2017-umd.js', import.meta.url),
  '/idiomorph.js': new URL('node_modules/idiomorph/dist/idiomorph.js', import.meta.url),
};

const TURBO = '<script src="/turbo.js"></script>';
const inMain = (element) => `<main>${element}</main>`;

/** Longer than an element waits for its way back into the document. */
const AFTER_MOVE_MS = 1_300;

for (const [how, attribute] of [['kept as data-turbo-permanent', 'data-turbo-permanent'], ['made anew', '']]) {
  everyEngine(`Turbo: an element that is ${how} does not leave on visits, nor on the way back`, async (t, engine) => {
    const { meter, page, site } = await pages(t, engine, TURBO, (element) => element.replace(' src', ` ${attribute} src`));
    await page.evaluate(() => {
      window.since = 'the first page';
      window.element = document.getElementById('viewers');
    });
    for (const path of ['/second', '/third']) {
      await page.evaluate((to) => document.querySelector(`a[href="${to}"]`).click(), path);
      await shows(page, 'h1', path);
      await shows(page, '#viewers', '1');
    }
    assert.equal(await page.evaluate(() => window.element === document.getElementById('viewers')), attribute !== '');
    await page.evaluate(() => history.back());
    await shows(page, 'h1', '/second');
    await shows(page, '#viewers', '1');
    await remains({ members: 1, connections: 1 }, () => meter.stats('test'), AFTER_MOVE_MS);
    assert.equal(await page.evaluate(() => window.since), 'the first page', 'it was loaded anew');
    assert.equal(site.requests['/second'] >= 1 && site.requests['/third'], 1);
    await page.evaluate(() => document.getElementById('viewers').remove());
    await until('the one that is gone to have left', async () => await meter.members('test') === 0);
    assert.deepEqual(page.complaints, []);
  });
}

everyEngine('Turbo: a refresh by morphing keeps the element, its number and its state', async (t, engine) => {
  const { meter, page } = await pages(t, engine, `<meta name="turbo-refresh-method" content="morph">${TURBO}`, (element) => element);
  await page.evaluate(() => {
    window.element = document.getElementById('viewers');
    window.rendered = 0;
    addEventListener('turbo:render', () => { window.rendered += 1; });
    window.Turbo.visit(location.href, { action: 'replace' });
  });
  await until('the refresh', () => page.evaluate(() => window.rendered > 0));
  await shows(page, '#viewers', '1');
  await until('its state', async () => await page.getAttribute('#viewers', 'state') === 'open');
  assert.ok(await page.evaluate(() => window.element === document.getElementById('viewers')));
  await remains({ members: 1, connections: 1 }, () => meter.stats('test'), AFTER_MOVE_MS);
});

everyEngine('idiomorph: what it changes around an element, or moves it to, is no leave', async (t, engine) => {
  const { meter, page } = await pages(t, engine, '<script src="/idiomorph.js"></script>', inMain);
  await page.evaluate(() => {
    const main = document.querySelector('main');
    const { src } = document.getElementById('viewers');
    const element = `<audience-meter id="viewers" src="${src}">none yet</audience-meter>`;
    for (const html of [`<p>a</p>${element}`, `<ul><li>b</li><li>${element}</li></ul>`, `<section><p>${element}</p></section><p>c</p>`]) {
      window.Idiomorph.morph(main, html, { morphStyle: 'innerHTML' });
    }
  });
  await shows(page, '#viewers', '1');
  await until('its state', async () => await page.getAttribute('#viewers', 'state') === 'open');
  await remains({ members: 1, connections: 1 }, () => meter.stats('test'), AFTER_MOVE_MS);
});

everyEngine('an element that is taken out and put in by two tasks, or replaced by one of the same address, does not leave', async (t, engine) => {
  const { meter, page } = await pages(t, engine, '', inMain);
  await page.evaluate(() => {
    const main = document.querySelector('main');
    const element = main.firstChild;
    const { src } = element;
    const later = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
    (async () => {
      element.remove();
      await later(30);
      main.append(element);
      await later(30);
      main.innerHTML = '';
      await later(30);
      main.innerHTML = `<audience-meter id="viewers" src="${src}">none yet</audience-meter>`;
      window.isOver = true;
    })();
  });
  await until('all moves', () => page.evaluate(() => window.isOver === true));
  await shows(page, '#viewers', '1');
  await remains({ members: 1, connections: 1 }, () => meter.stats('test'), AFTER_MOVE_MS);
});

/** A site of three pages, of which the first is shown and has its number. `head` stands in all of them. */
async function pages(t, engine, head, body) {
  const meter = await Meter.start(t, ...ALONE);
  const paths = ['/', '/second', '/third'];
  const links = paths.map((path) => `<a href="${path}">${path}</a>`).join('');
  const element = `<audience-meter id="viewers" src="${meter.url('audience')}/test">none yet</audience-meter>`;
  const html = (path) => `<!doctype html><html><head><meta charset="utf-8">
    <script type="module" src="${meter.url('audience')}/client/element.js"></script>${head}</head>
    <body><h1>${path}</h1>${links}${body(element)}</body></html>`;
  const site = await serve(t, { ...SCRIPTS, ...Object.fromEntries(paths.map((path) => [path, html(path)])) });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  await shows(page, '#viewers', '1');
  return { meter, page, site };
}
