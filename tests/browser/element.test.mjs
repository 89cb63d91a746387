// element.test.mjs: <audience-meter> in three engines, by the module and by the classic script, which is served here by
// the daemon itself: two lines of HTML are all that such a page has.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, remains, serve, shows, stream, textOf, until } from './harness.mjs';

const TAGS = {
  module: (url) => `<script type="module" src="${url}/client/audience.js"></script>`,
  'classic script': (url) => `<script src="${url}/client/viewers.min.js"></script>`,
  'classic script of before': (url) => `<script src="${url}/client/audience.min.js"></script>`,
};

describe('<audience-meter>', { concurrency: 3 }, () => {
  for (const [what, tag] of Object.entries(TAGS)) {
    everyEngine(`${what}: shows the total, defined before it is parsed or after`, async (t, engine) => {
      const { meter, page } = await pageWith(t, engine, (url) => `
        <audience-meter id="early" src="${url}/test">none yet</audience-meter>
        ${tag(url)}
        <audience-meter id="late" src="${url}/test">none yet</audience-meter>
        <audience-meter id="idle">none yet</audience-meter>`);
      await shows(page, '#early', '1');
      await shows(page, '#late', '1');
      await shows(page, '#idle', 'none yet');
      assert.equal(await page.getAttribute('#early', 'state'), 'open');
      await page.evaluate((url) => {
        const made = document.createElement('audience-meter');
        made.id = 'made';
        made.setAttribute('src', url);
        document.body.append(made);
      }, meter.url('audience', '/test'));
      await shows(page, '#made', '1');
      // One page and one address: one stream, and one member.
      assert.deepEqual(await meter.stats('test'), { members: 1, connections: 1 });
      assert.deepEqual(page.complaints, []);
    });

    everyEngine(`${what}: follows its attributes, and leaves with the document`, async (t, engine) => {
      const { meter, page } = await pageWith(t, engine, (url) => `
        ${tag(url)}<audience-meter src="${url}/one">none yet</audience-meter><p></p>`);
      const members = () => Promise.all(['one', 'two'].map((name) => meter.members(name)));
      await shows(page, 'audience-meter', '1');
      await page.evaluate(() => document.querySelector('p').append(document.querySelector('audience-meter')));
      await page.evaluate((url) => {
        const element = document.querySelector('audience-meter');
        window.told = [];
        element.addEventListener('count', ({ detail }) => window.told.push(detail));
        element.addEventListener('message', ({ detail }) => window.told.push(detail));
        element.setAttribute('uuid', '');
        element.setAttribute('src', url);
      }, meter.url('audience', '/two'));
      assert.ok(['none yet', '1'].includes(await textOf(page, 'audience-meter')));
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
      assert.deepEqual(await page.evaluate(() => {
        const { audience, textContent, shadowRoot } = window.kept;
        return [audience, textContent, shadowRoot.innerHTML];
      }), [null, 'none yet', '<slot></slot>']);
      await page.evaluate(() => document.body.append(window.kept));
      await until('it to be back', async () => String(await members()) === '0,1');
      // Firefox complains of a stream that is closed before its head has come.
      await shows(page, 'audience-meter', '1');
      await page.evaluate(() => window.kept.removeAttribute('src'));
      await until('it to be gone', async () => String(await members()) === '0,0');
      assert.deepEqual(page.complaints, []);
    });

    everyEngine(`${what}: a wrong address is told by an event and by its state, and shows what stood there`, async (t, engine) => {
      const { meter, page } = await pageWith(t, engine, (url) => `
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
      assert.equal(await textOf(page, 'audience-meter'), 'none yet');
      await page.evaluate((url) => document.querySelector('audience-meter').setAttribute('src', url),
        meter.url('audience', '/test'));
      await shows(page, 'audience-meter', '1');
    });
  }

  everyEngine('the module and both classic scripts get along in one page', async (t, engine) => {
    const { meter, page } = await pageWith(t, engine, (url) => `
      ${TAGS.module(url)}${TAGS['classic script'](url)}
      <script>window.jQuery = { other: true, Deferred: function () {} };</script>
      <script src="${url}/client/jquery.audience.js"></script>
      <audience-meter src="${url}/test">none yet</audience-meter>`);
    await shows(page, 'audience-meter', '1');
    await remains(1, () => meter.members('test'), 300);
    const left = await page.evaluate(() => [typeof audience, typeof jQuery.audience, Object.keys(window)
      .filter((name) => /^_|^id$|helper/.test(name))]);
    assert.deepEqual(left, ['function', 'function', []]);
    assert.deepEqual(page.complaints, []);
  });

  everyEngine('the number is in the language of the text around it', async (t, engine) => {
    const { page } = await pageWith(t, engine, (url, server) => `${TAGS.module(url)}
      <p lang="de"><audience-meter id="de" src="${server}">–</audience-meter></p>
      <p lang="no such_language"><audience-meter id="bad" src="${server}">–</audience-meter></p>
      <p lang="de"><b lang="ar-EG"><audience-meter id="ar" src="${server}">–</audience-meter></b></p>
      <p lang="de"><audience-meter id="own" lang="en-IN" src="${server}">–</audience-meter></p>
      <div id="host" lang="fr"></div><audience-meter id="none" src="${server}">–</audience-meter>
      <script>
        host.attachShadow({ mode: 'open' }).innerHTML = '<audience-meter id="within" src="${server}">–</audience-meter>';
      </script>`, 1_234_567);
    await shows(page, '#de', '1.234.567');
    await shows(page, '#ar', '١٬٢٣٤٬٥٦٧');
    await shows(page, '#own', '12,34,567');
    const within = () => page.evaluate(() => document.querySelector('#host').shadowRoot.querySelector('#within').shadowRoot.textContent);
    await until('the one within', async () => await within() === (1_234_567).toLocaleString('fr'));
    for (const id of ['#bad', '#none']) await shows(page, id, await page.evaluate(() => (1_234_567).toLocaleString()));
    assert.deepEqual(page.complaints, []);
  });

  everyEngine('children belong to the page: they are never touched, and stand there until the first count', async (t, engine) => {
    const { page } = await pageWith(t, engine, (url, server) => `${TAGS.module(url)}
      <style>audience-meter { color: rgb(1, 2, 3) }</style>
      <audience-meter><i>so far <b>nobody</b></i></audience-meter>
      <script>
        window.element = document.querySelector('audience-meter');
        window.changes = 0;
        new MutationObserver((all) => { window.changes += all.length; })
          .observe(element, { childList: true, characterData: true, subtree: true });
        window.show = () => element.setAttribute('src', '${server}');
      </script>`, 42);
    assert.equal(await page.evaluate(() => document.querySelector('b').getBoundingClientRect().width > 0), true);
    await page.evaluate(() => window.show());
    await shows(page, 'audience-meter', '42');
    const seen = await page.evaluate(() => {
      const { element, changes } = window;
      element.querySelector('b').remove(); // as a framework does with a child that it no longer wants
      return [changes, element.innerText, element.innerHTML, getComputedStyle(element).color];
    });
    assert.deepEqual([seen[0], seen[2], seen[3]], [0, '<i>so far </i>', 'rgb(1, 2, 3)']);
    await shows(page, 'audience-meter', '42');
    await page.evaluate(() => window.element.removeAttribute('src'));
    await shows(page, 'audience-meter', 'so far ');
  });

  everyEngine('a move is no leave, though it takes a while', async (t, engine) => {
    const { meter, page } = await pageWith(t, engine, (url) => `
      ${TAGS.module(url)}<audience-meter src="${url}/test">none yet</audience-meter><p></p>`);
    await shows(page, 'audience-meter', '1');
    await page.evaluate(async () => {
      const element = document.querySelector('audience-meter');
      for (const ms of [0, 50, 400]) {
        element.remove();
        await new Promise((resolve) => { setTimeout(resolve, ms); });
        document.querySelector('p').append(element);
      }
      document.body.append(element);
    });
    await shows(page, 'audience-meter', '1');
    await remains({ members: 1, connections: 1 }, () => meter.stats('test'), 1_300);
  });

  everyEngine('properties and attributes reflect each other, "true" and "false" are what they say', async (t, engine) => {
    const { page } = await pageWith(t, engine, (url) => `<script>
        window.early = document.createElement('audience-meter');
        Object.assign(early, { src: 'ftp://early', shared: true, uuid: 'me', pauseWhenHidden: true });
        document.documentElement.append(early);
      </script>
      ${TAGS.module(url)}`);
    await until('the definition', () => page.evaluate(() => Boolean(window.customElements.get('audience-meter'))));
    const seen = await page.evaluate(() => {
      const attributesOf = (element) => Object.fromEntries(element.getAttributeNames()
        .filter((name) => name !== 'state').map((name) => [name, element.getAttribute(name)]));
      const propertiesOf = ({ src, shared, uuid, pauseWhenHidden }) => [src, shared, uuid, pauseWhenHidden];
      const byProperty = (properties) => attributesOf(Object.assign(document.createElement('audience-meter'), properties));
      const byAttribute = (attributes) => {
        const element = document.createElement('audience-meter');
        Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
        return propertiesOf(element);
      };
      const all = (value) => ({ shared: value, uuid: value, pauseWhenHidden: value });
      const each = (value) => ({ shared: value, uuid: value, 'pause-when-hidden': value });
      return {
        early: [attributesOf(window.early), propertiesOf(window.early)],
        written: [{ src: new URL('http://h/a') }, { src: null }, all(true), all(false), all('true'), all('false'), all(undefined), { uuid: 'me' }]
          .map(byProperty),
        read: [{}, each(''), each('true'), each('false'), { src: 'a', uuid: 'me', pausewhenhidden: 'true' }].map(byAttribute),
      };
    });
    const on = (value) => ({ shared: value, uuid: value, 'pause-when-hidden': value });
    assert.deepEqual(seen, {
      early: [{ src: 'ftp://early', shared: '', uuid: 'me', 'pause-when-hidden': '' }, ['ftp://early', true, 'me', true]],
      written: [{ src: 'http://h/a' }, {}, on(''), {}, on('true'), {}, {}, { uuid: 'me' }],
      read: [['', false, false, false], ['', true, true, true], ['', true, true, true], ['', false, false, false], ['a', false, 'me', true]],
    });
  });

  everyEngine('uuid="true" is an id of each browser, "false" is none', async (t, engine) => {
    const { meter, page } = await pageWith(t, engine, (url) => `
      <script>
        window.asked = [];
        window.EventSource = new Proxy(EventSource, {
          construct: (of, [url]) => (asked.push(new URL(url).pathname), new of(url)),
        });
      </script>
      ${TAGS.module(url)}
      <audience-meter src="${url}/true" uuid="true">–</audience-meter>
      <audience-meter src="${url}/false" uuid="false" shared="false">–</audience-meter>`, 0, '--enable-uuid');
    await until('both to be asked for', () => page.evaluate(() => window.asked.includes('/false')
      && window.asked.some((path) => /^\/true\/.{8,}/.test(path))));
    await until('one each', async () => await meter.members('true') === 1 && await meter.members('false') === 1);
  });
});

/**
 * A page of another origin than the daemon's, with what `body` makes of the daemon's address, and of a server's that sends
 * one total.
 */
async function pageWith(t, engine, body, total = 0, ...options) {
  const meter = await Meter.start(t, ...ALONE, ...options);
  const server = await serve(t, { '/test': (_, response) => stream(response, `data: ${total}\n\n`) });
  const site = await serve(t, { '/': `<!doctype html><meta charset="utf-8">${body(meter.url('audience'), server.url('/test'))}` });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  return { meter, page };
}
