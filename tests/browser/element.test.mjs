// element.test.mjs: <audience-meter> in a real browser, by the module and by the classic script, which is served here by
// the daemon itself: two lines of HTML are all that such a page has.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ALONE, Meter, launch, openPage, remains, serve, shows, until } from './harness.mjs';

const TAGS = {
  module: (url) => `<script type="module" src="${url}/client/audience.js"></script>`,
  'classic script': (url) => `<script src="${url}/client/audience.min.js"></script>`,
};

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

describe('<audience-meter>', { concurrency: 3 }, () => {
  for (const [what, tag] of Object.entries(TAGS)) {
    test(`${what}: shows the total, defined before it is parsed or after`, async (t) => {
      const { meter, page } = await pageWith(t, (url) => `
        <audience-meter id="early" src="${url}/test">none yet</audience-meter>
        ${tag(url)}
        <audience-meter id="late" src="${url}/test">none yet</audience-meter>
        <audience-meter id="idle">none yet</audience-meter>`);
      await shows(page, '#early', '2');
      await shows(page, '#late', '2');
      await shows(page, '#idle', 'none yet');
      assert.equal(await page.getAttribute('#early', 'state'), 'open');
      await page.evaluate((url) => {
        const made = document.createElement('audience-meter');
        made.id = 'made';
        made.setAttribute('src', url);
        document.body.append(made);
      }, meter.url('audience', '/test'));
      await shows(page, '#made', '3');
      assert.deepEqual(page.complaints, []);
    });

    test(`${what}: follows its attributes, and leaves with the document`, async (t) => {
      const { meter, page } = await pageWith(t, (url) => `
        ${tag(url)}<audience-meter src="${url}/one">none yet</audience-meter><p></p>`);
      const members = () => Promise.all(['one', 'two'].map((name) => meter.members(name)));
      await shows(page, 'audience-meter', '1');
      await page.evaluate(() => document.querySelector('p').append(document.querySelector('audience-meter')));
      await page.evaluate((url) => {
        const element = document.querySelector('audience-meter');
        window.told = [];
        element.addEventListener('count', ({ detail }) => window.told.push(detail));
        element.addEventListener('message', ({ detail }) => window.told.push(detail));
        element.src = 'of no meaning';
        element.setAttribute('uuid', '');
        element.setAttribute('src', url);
      }, meter.url('audience', '/two'));
      assert.ok(['none yet', '1'].includes(await page.textContent('audience-meter')));
      await until('the other event to be joined', async () => String(await members()) === '0,1');
      await shows(page, 'audience-meter', '1');
      await meter.notify('two', 'to', 'all');
      await until('both to be told', () => page.evaluate(() => window.told.length >= 2));
      assert.deepEqual(await page.evaluate(() => window.told.filter((one) => one.service || one === 1).slice(0, 2)), [
        1, { service: 'to', text: 'all' },
      ]);
      assert.equal(await page.evaluate(() => document.querySelector('audience-meter').audience.total), 1);
      // Moved within the document, it has not left; one join for each address is all.
      assert.deepEqual([(await meter.stats('one')).connections, (await meter.stats('two')).connections], [1, 1]);

      await page.evaluate(() => {
        window.kept = document.querySelector('audience-meter');
        window.kept.remove();
      });
      await until('both to be left', async () => String(await members()) === '0,0');
      assert.deepEqual(await page.evaluate(() => [window.kept.audience, window.kept.textContent]), [null, 'none yet']);
      await page.evaluate(() => document.body.append(window.kept));
      await until('it to be back', async () => String(await members()) === '0,1');
      await page.evaluate(() => window.kept.removeAttribute('src'));
      await until('it to be gone', async () => String(await members()) === '0,0');
      assert.deepEqual(page.complaints, []);
    });

    test(`${what}: a wrong address is told by an event and by its state, and shows what stood there`, async (t) => {
      const { meter, page } = await pageWith(t, (url) => `
        <script>
          window.errors = [];
          document.addEventListener('error', ({ detail }) => detail && window.errors.push(detail), true);
        </script>
        ${tag(url)}<audience-meter src="ftp://h/test">none yet</audience-meter>`);
      await until('the error', () => page.evaluate(() => window.errors.length === 1));
      assert.deepEqual(await page.evaluate(() => window.errors), [
        { message: 'ftp://h/test is no address of an event', final: true },
      ]);
      assert.equal(await page.getAttribute('audience-meter', 'state'), 'closed');
      assert.equal(await page.textContent('audience-meter'), 'none yet');
      await page.evaluate((url) => document.querySelector('audience-meter').setAttribute('src', url),
        meter.url('audience', '/test'));
      await shows(page, 'audience-meter', '1');
    });
  }

  test('the module and both classic scripts get along in one page', async (t) => {
    const { meter, page } = await pageWith(t, (url) => `
      ${TAGS.module(url)}${TAGS['classic script'](url)}
      <script>window.jQuery = { other: true };</script>
      <script src="${url}/client/jquery.audience.js"></script>
      <audience-meter src="${url}/test">none yet</audience-meter>`);
    await shows(page, 'audience-meter', '1');
    await remains(1, () => meter.members('test'), 300);
    const left = await page.evaluate(() => [typeof audience, typeof jQuery.audience, Object.keys(window)
      .filter((name) => /^_|^id$|helper/.test(name))]);
    assert.deepEqual(left, ['function', 'function', []]);
    assert.deepEqual(page.complaints, []);
  });

  test('a page with a thousands of members reads well', async (t) => {
    const server = await serve(t, {
      '/test': (_, response) => response
        .writeHead(200, { 'Content-Type': 'text/event-stream', 'Access-Control-Allow-Origin': '*' })
        .write('data: 1234567\n\n'),
    });
    const { page } = await pageWith(t, (url) => `
      ${TAGS.module(url)}<audience-meter src="${server.url('/test')}">none yet</audience-meter>`);
    await shows(page, 'audience-meter', await page.evaluate(() => (1234567).toLocaleString()));
  });
});

/** A page of another origin than the daemon's, with what `body` makes of the daemon's address. */
async function pageWith(t, body) {
  const meter = await Meter.start(t, ...ALONE);
  const site = await serve(t, { '/': `<!doctype html>${body(meter.url('audience'))}` });
  const page = await openPage(t, browser);
  await page.goto(site.url('/'));
  return { meter, page };
}
