// demo.test.mjs: the two pages of the demo port, as a person sees them: what they do in three engines, what needs a driver's
// eyes or hands in Chromium.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { everyEngine } from './engines.mjs';
import {
  ALONE, Meter, TWO_WORKERS, faultsFoundByAxe, launch, openPage, remains, screenshot, serve, shows, until,
} from './harness.mjs';

/** Every change is told, however small. */
const EVERY_CHANGE = [...ALONE, '--notify-delta-ratio', '0'];

/** What a page is made of that its policy names by a hash. */
const PARTS = { script: /<script[^>]*>([^]*)<\/script>\n<\/body>/, style: /<style>([^]*?)<\/style>/ };

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

everyEngine('two pages see each other come and go', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const [one, two] = [await engine.openPage(t), await engine.openPage(t)];
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
  await meter.notify('test', 'score', '2%20:%201');
  await shows(one, '#messages li span', '2 : 1');
  await one.setViewport(1280, 800);
  await one.screenshot(`demo-${engine.name}.png`);
});

everyEngine('pages see each other whichever process they are at', async (t, engine) => {
  const meter = await Meter.start(t, ...TWO_WORKERS);
  const pages = [];
  while (pages.length < 5) pages.push(await engine.openPage(t));
  for (const page of pages) await page.goto(meter.url('demo', '/test'));
  for (const page of pages) await shows(page, '#total', '5');
  await pages.pop().close();
  for (const page of pages) await shows(page, '#total', '4');
  await meter.notify('test', 'to', 'all');
  for (const page of pages) await shows(page, '#messages li span', 'all');
});

everyEngine('a message is shown decoded, and as text', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await engine.openPage(t);
  await page.goto(meter.url('demo', '/test'));
  await shows(page, '#state', 'Live');
  await meter.notify('test', 'score', '2%20:%201%20%3Cb%3E');
  await shows(page, '#messages li:first-child b', 'score');
  await shows(page, '#messages li:first-child span', '2 : 1 <b>');
  await meter.notify('test', 'score', '100%');
  await shows(page, '#messages li:first-child span', '100%');
  assert.equal(await page.evaluate(() => document.querySelectorAll('#messages li').length), 2);
  // What acts on other text, or lies upon it, stays encoded.
  await meter.notify('test', '%E2%80%AEerocs', `z${'%CC%81'.repeat(9)}`);
  await shows(page, '#messages li:first-child b', '%E2%80%AEerocs');
  await shows(page, '#messages li:first-child span', `z${'%CC%81'.repeat(9)}`);
});

everyEngine('a name that would act on other text is shown as it was sent, and any script as it is read', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await engine.openPage(t);
  for (const [name, shown] of [
    ['caf%C3%A9%E2%80%AExe', 'café%E2%80%AExe'], [`z${'%CC%81'.repeat(6)}`, `z${'%CC%81'.repeat(6)}`], ['%CC%81', '%CC%81'],
    ['%D7%A9%D7%9C%D7%95%D7%9D', 'שלום'], ['%E0%B8%97%E0%B8%B5%E0%B9%88', 'ที่'],
  ]) {
    await page.goto(meter.url('demo', `/${name}`));
    await shows(page, '#name', shown);
    await shows(page, '#total', '1');
    assert.ok((await page.title()).endsWith(shown));
  }
});

everyEngine('a name has as many bytes as the daemon takes, in any script, and the form says so', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await engine.openPage(t);
  for (const [letter, fits] of [['x', 255], ['é', 42], ['語', 28], ['👍', 21]]) {
    await page.goto(meter.url('demo', '/'));
    await page.fill('#event', letter.repeat(fits + 1));
    await page.click('button');
    const said = await page.evaluate(() => document.getElementById('event').validationMessage);
    const bytes = encodeURIComponent(letter.repeat(fits + 1)).length;
    assert.equal(said, `This name has ${bytes} bytes in an address, where it may have 255: please shorten it.`);
    await page.fill('#event', letter.repeat(fits));
    await page.click('button');
    await comesTo(page, `/${encodeURIComponent(letter.repeat(fits))}`);
    await shows(page, '#name', letter.repeat(fits));
    await shows(page, '#total', '1');
  }
  await page.goto(meter.url('demo', `/${'x'.repeat(256)}`));
  await shows(page, '#state', 'This name has 256 bytes in its address, where it may have 255: no such event can be joined.');
});

everyEngine('a namespace is joined as it stands in the address, and decoded to be read', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await engine.openPage(t);
  await page.goto(meter.url('demo', '/caf%C3%A9%2F1'));
  await shows(page, '#total', '1');
  await shows(page, '#name', 'café/1');
  assert.equal(await meter.members('caf%C3%A9%2F1'), 1);
});

test('the page asks nobody but the daemon, and nothing in it moves', async (t) => {
  const meter = await Meter.start(t, ...EVERY_CHANGE);
  for (const viewport of [{ width: 390, height: 844 }, { width: 1280, height: 800 }]) {
    const page = await openPage(t, browser, { viewport });
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.addInitScript(() => {
      window.shift = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shift += entry.value; }))
        .observe({ type: 'layout-shift', buffered: true });
    });
    await page.goto(meter.url('demo', '/test'));
    await shows(page, '#total', '1');
    const crowd = await gather(meter, 'test', 11);
    await shows(page, '#total', '12');
    await shows(page, '#most', '12');
    await meter.notify('test', 'a'.repeat(200), 'b'.repeat(200));
    await page.waitForSelector('#messages li');
    crowd.leave();
    await shows(page, '#total', '1');
    assert.deepEqual(asked.sort(), [
      meter.url('audience', '/test'), meter.url('demo', '/client/audience.js'), meter.url('demo', '/test'),
    ].sort());
    // One line pushed down would be ten times as much.
    const shift = await page.evaluate(() => window.shift);
    assert.ok(shift < 0.002, `a shift of ${shift}`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'wider than the screen');
    await page.close();
  }
});

test('the chart has a step for each change, a gap for each loss, and forgets', async (t) => {
  const meter = await Meter.start(t, ...EVERY_CHANGE);
  const page = await openPage(t, browser);
  await withSkippableTime(page);
  await page.goto(meter.url('demo', '/test'));
  await shows(page, '#total', '1');
  await figures(page, '1', '1', '1');
  await shows(page, '#past-title', 'Last minute');
  const crowd = await gather(meter, 'test', 4);
  await shows(page, '#total', '5');
  await skip(page, 30_000);
  crowd.leave();
  await shows(page, '#total', '1');
  await figures(page, '1', '5', '1');
  // Up and down, as far as 5 is above 1: where the marks are is what the axis says.
  const marks = await page.locator('#chart .grid')
    .evaluateAll((lines) => lines.map((line) => Number(line.getAttribute('y1'))));
  const labels = await page.locator('#chart text[text-anchor="end"]').allTextContents();
  assert.deepEqual(labels.slice(0, marks.length).map(Number), [0, 2, 4, 6]);
  const path = await page.getAttribute('#chart .line', 'd');
  const heights = path.match(/[V,]([\d.]+)/g).map((part) => Number(part.slice(1)));
  const isAt = (total, y) => Math.abs(y - (marks[0] + (marks[3] - marks[0]) * total / 6)) < 0.1;
  for (const total of [1, 5]) assert.ok(heights.some((y) => isAt(total, y)), `no ${total} in ${path}`);
  assert.ok(isAt(1, heights.at(-1)), `not at 1 in the end: ${path}`);

  await meter.stop();
  await shows(page, '#state', 'Connection lost, coming back');
  await figures(page, '1', '5', '–');
  await meter.run();
  await shows(page, '#state', 'Live');
  await until('a second line', async () => await page.locator('#chart .line').count() === 2);

  await skip(page, 5 * 60_000);
  await shows(page, '#past-title', 'Last 6 minutes');
  await figures(page, '1', '5', '1');
  await skip(page, 20 * 60_000);
  await shows(page, '#past-title', 'Last 10 minutes');
  await figures(page, '1', '1', '1');
  await until('one line', async () => await page.locator('#chart .line').count() === 1);
});

test('a screen reader hears the number now and then, and each message', async (t) => {
  const meter = await Meter.start(t, ...EVERY_CHANGE);
  const page = await openPage(t, browser);
  await withSkippableTime(page);
  await page.goto(meter.url('demo', '/test'));
  await shows(page, '#said', '1 here now');
  const crowd = await gather(meter, 'test', 3);
  await shows(page, '#total', '4');
  await remains('1 here now', () => page.textContent('#said'), 500);
  await skip(page, 20_000);
  await shows(page, '#said', '4 here now');
  assert.match(await page.getAttribute('#chart', 'aria-label'), /^Last minute: 1 to 4 were here, now 4$/);
  crowd.leave();
  for (const [id, role] of [['said', 'status'], ['state', 'status'], ['log', 'log']]) {
    assert.equal(await page.getAttribute(`#${id}`, 'role'), role);
  }
  // The number itself says nothing.
  assert.equal(await page.locator('[aria-live] #total, [role] #total, output#total, #total[aria-live]').count(), 0);
});

test('nothing moves by itself for those who want it so', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  for (const [reducedMotion, moving] of [['no-preference', true], ['reduce', false]]) {
    const page = await openPage(t, browser, { reducedMotion });
    await page.goto(meter.url('demo', '/test'));
    await shows(page, '#state', 'Live');
    assert.equal(await page.evaluate(() => document.getAnimations().length > 0), moving, reducedMotion);
    await page.close();
  }
});

test('all can be reached and done by keyboard', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openPage(t, browser, { permissions: ['clipboard-read', 'clipboard-write'] });
  await page.goto(meter.url('demo', '/test'));
  await shows(page, '#state', 'Live');
  const reached = [];
  for (let tabs = 0; tabs < 4; tabs += 1) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.tagName));
    if (reached.at(-1) === 'copy') {
      await page.keyboard.press('Enter');
      await shows(page, '#copy', 'Copied');
      await shows(page, '#said', 'Copied');
    }
  }
  assert.deepEqual(reached, ['A', 'log', 'copy', 'snippet']);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.textContent('#snippet'));
  await shows(page, '#copy', 'Copy');
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
    await until('the chart', async () => /[^–]/.test(await page.textContent('#most')));
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, `with ${text}`);
  }
});

everyEngine('the snippet works as it is, in a page of another origin', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await engine.openPage(t);
  await page.goto(meter.url('demo', '/test'));
  const snippet = await page.textContent('#snippet');
  const site = await serve(t, { '/': `<!doctype html>${snippet}` });
  const other = await engine.openPage(t);
  await other.goto(site.url('/'));
  await shows(other, 'audience-meter', '2');
  await page.click('#copy');
  await until('the button to answer', async () => ['Copied', 'Selected'].includes(await page.textContent('#copy')));
});

everyEngine('the snippet holds whatever the name is', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const [page, other] = [await engine.openPage(t), await engine.openPage(t)];
  let html;
  const site = await serve(t, { '/': (_, response) => response.setHeader('Content-Type', 'text/html').end(html) });
  const names = [
    '</script><img src=x onerror="window.ran = true">', '"><img src=x onerror="window.ran = true">',
    "' onclick='window.ran = true' \\u0022&amp;é",
  ];
  // The last one stands in the address as it is: nothing in it has to be encoded there.
  for (const path of [...names.map(encodeURIComponent), "&quot;&amp;lt=1'"]) {
    await page.goto(meter.url('demo', `/${path}`));
    await shows(page, '#name', decodeURIComponent(path));
    await shows(page, '#total', '1');
    html = `<!doctype html><meta charset="utf-8">${await page.textContent('#snippet')}`;
    await other.goto(site.url('/'));
    await shows(other, 'audience-meter', '2');
    for (const one of [page, other]) {
      assert.equal(await one.evaluate(() => 'ran' in window), false);
      assert.deepEqual(one.complaints, []);
    }
  }
});

everyEngine('the pages allow themselves what they are made of, and nothing else', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  for (const [path, file] of [['/', 'welcome.html'], ['/test', 'demo.html']]) {
    const text = await readFile(new URL(`../../client/${file}`, import.meta.url), 'utf8');
    const hash = (part) => `'sha256-${createHash('sha256').update(part.exec(text)[1]).digest('base64')}'`;
    for (const [directive, part] of Object.entries(PARTS)) {
      const [, allowed] = new RegExp(`${directive}-src [^;]*('sha256-[^']*')`).exec(text);
      assert.equal(allowed, hash(part), `the ${directive} of client/${file} has changed, so its policy has to`);
    }
    const page = await engine.openPage(t);
    const watch = () => {
      window.violations = [];
      document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.effectiveDirective));
    };
    await page.before?.(watch);
    await page.goto(meter.url('demo', path));
    if (!page.before) await page.evaluate(watch); // WebKit's driver has nothing that is earlier
    if (path === '/test') await shows(page, '#state', 'Live');
    assert.deepEqual(await page.evaluate(() => window.violations), []);
    await page.evaluate(() => {
      const smuggled = '<img src="/x.png" onerror="window.ran = true"><p style="color: red">';
      document.body.insertAdjacentHTML('beforeend', smuggled);
      fetch('/').catch(() => {});
    });
    const refused = ['connect-src', 'img-src', 'script-src-attr', 'style-src-attr'];
    await until('four refusals', async () => {
      const violations = await page.evaluate(() => window.violations);
      return refused.every((directive) => violations.includes(directive));
    });
    assert.equal(await page.evaluate(() => 'ran' in window), false);
  }
});

test('without JavaScript the pages say so', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await openPage(t, browser, { javaScriptEnabled: false });
  for (const path of ['/', '/test']) {
    await page.goto(meter.url('demo', path));
    const words = page.locator('noscript > *');
    await words.waitFor();
    assert.match(await words.textContent(), /JavaScript/);
  }
});

everyEngine('the front page links to an event and leads to any other', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const page = await engine.openPage(t);
  await page.goto(meter.url('demo', '/'));
  assert.ok((await page.textContent('#command')).endsWith(meter.url('audience', '/test')));
  await page.click('a[href="/test"]');
  await comesTo(page, '/test');
  await shows(page, '#total', '1');
  await page.goto(meter.url('demo', '/'));
  await page.fill('#event', '..');
  await page.click('button');
  assert.equal(await page.evaluate(() => document.getElementById('form').checkValidity()), false);
  await page.fill('#event', ' Finale 2/2 ');
  await page.click('button');
  await comesTo(page, '/Finale%202%2F2');
  await shows(page, '#name', 'Finale 2/2');
  await shows(page, '#total', '1');
});

for (const colorScheme of ['light', 'dark']) {
  test(`with forced colours and on paper nothing is lost, ${colorScheme}`, async (t) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await openPage(t, browser, { colorScheme, forcedColors: 'active' });
    for (const [name, path] of [['welcome', '/'], ['demo', '/test']]) {
      for (const media of ['screen', 'print']) {
        await page.emulateMedia({ media });
        await page.goto(meter.url('demo', path));
        if (name === 'demo') await shows(page, '#state', 'Live');
        await screenshot(page, `${name}-forced-${colorScheme}-${media}.png`);
        assert.deepEqual(await faultsFoundByAxe(page), [], `${name}, ${colorScheme}, ${media}`);
      }
    }
    const dot = await page.evaluate(() => [getComputedStyle(document.getElementById('state'), '::before'), getComputedStyle(document.querySelector('section'))].map((style) => style.backgroundColor));
    assert.notEqual(dot[0], dot[1]);
  });

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
        assert.deepEqual(await faultsFoundByAxe(page), [], `${name}, ${colorScheme}, ${device}`);
        const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(/^rgb\((\d)?\d,/.test(ground), colorScheme === 'dark', `${colorScheme} on ${ground}`);
      }
      await meter.stop();
      await shows(page, '#state', 'Connection lost, coming back');
      await screenshot(page, `lost-${colorScheme}-${device}.png`);
      assert.deepEqual(await faultsFoundByAxe(page), [], `lost, ${colorScheme}, ${device}`);
      assert.deepEqual(page.complaints, []);
    });
  }
}

/** Waits until the page is the one at this path. */
function comesTo(page, path) {
  return until(`the page at ${path}`, () => page.evaluate(() => document.readyState !== 'loading' && location.pathname)
    .then((at) => at === path, () => false));
}

/** So many members from outside of the browser, who stay until they are told to leave. */
async function gather(meter, namespace, count) {
  const headers = { Accept: 'text/event-stream' };
  const leaving = new AbortController();
  const { signal } = leaving;
  const joins = Array.from({ length: count }, () => fetch(meter.url('audience', `/${namespace}`), { headers, signal }));
  const responses = await Promise.all(joins);
  for (const { status } of responses) assert.equal(status, 200);
  // A response that nobody holds is collected, and its stream with it.
  return { responses, leave: () => leaving.abort() };
}

/** A page whose monotonic clock `skip` can set forward. */
async function withSkippableTime(page) {
  await page.addInitScript(() => {
    const now = performance.now.bind(performance);
    window.skipped = 0;
    performance.now = () => now() + window.skipped;
  });
}

async function skip(page, ms) {
  await page.evaluate((more) => { window.skipped += more; }, ms);
}

/** The least, the most and the latest that the chart tells of. */
async function figures(page, ...expected) {
  for (const [index, id] of ['least', 'most', 'latest'].entries()) await shows(page, `#${id}`, expected[index]);
}
