// signed.test.mjs: addresses that the site signs (`--join-key-file`), in three engines: a function makes one for each attempt, and
// a refused one is final.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'node:test';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, remains, serve, shows, temporaryFolder, until } from './harness.mjs';

const KEY = '0123456789abcdef0123456789abcdef';

/** Streams of a second: a browser comes back by itself, and soon with an address that has expired. */
const SHORT = ['--max-conn-duration', '1'];

/** The address of an event, good for some seconds. */
function address(meter, namespace, uuid, seconds) {
  const expires = Math.floor(Date.now() / 1000) + seconds;
  const signature = createHmac('sha256', KEY).update(`${namespace}\n${uuid}\n${expires}`).digest('hex');
  return meter.url('audience', `/${namespace}${uuid && `/${uuid}`}?expires=${expires}&signature=${signature}`);
}

/** A daemon that knows the key, and a site that signs by it for `seconds`: `/sign?<uuid>`, which fails `failures` times. */
async function start(t, options, { seconds = 60, failures = 0 } = {}) {
  const path = join(await temporaryFolder(t), 'join.key');
  await writeFile(path, KEY, { mode: 0o600 });
  const meter = await Meter.start(t, ...ALONE, '--join-key-file', path, ...options);
  const site = await serve(t, {
    '/audience.js': new URL('../../client/audience.js', import.meta.url),
    '/element.js': new URL('../../client/element.js', import.meta.url),
    '/element': `<base href="/deep/"><script type="module" src="/element.js"></script>
      <audience-meter signer="../address" uuid shared>–</audience-meter><audience-meter signer="/address" uuid="true">–</audience-meter>`,
    '/broken': `<script type="module" src="/element.js"></script>
      <script>addEventListener('error', ({ detail }) => { window.problem = detail; }, true);</script>
      <audience-meter signer="http://[">–</audience-meter>`,
    '/': `<script type="module">
      import { audience } from '/audience.js';
      const sign = window.sign = async (uuid) => {
        const reply = await fetch('/sign?' + (uuid ?? ''));
        if (!reply.ok) throw new Error('the site is busy');
        return reply.text();
      };
      window.join = (url = sign, options = {}) => {
        const member = audience(url, { backoffMs: 50, ...options });
        member.errors = [];
        member.onError((error) => member.errors.push(error));
        (window.members ??= []).push(member);
      };
    </script>`,
    '/address': (request, response) => {
      const uuid = new URL(request.url, site.url('/')).searchParams.get('uuid') ?? '';
      const isBusy = failures > 0;
      failures -= 1;
      response.writeHead(isBusy ? 500 : 200).end(`${address(meter, 'test', uuid, seconds)}\n`);
    },
    '/sign': (request, response) => {
      const isBusy = failures > 0;
      failures -= 1;
      response.writeHead(isBusy ? 500 : 200).end(address(meter, 'test', request.url.split('?')[1], seconds));
    },
  });
  const open = async (engine, profile) => {
    const page = await engine.openPage(t, { profile });
    await page.goto(site.url('/'));
    await until('the script', () => page.evaluate(() => Boolean(window.join)));
    return page;
  };
  return { meter, site, open };
}

const isOpen = (page) => page.evaluate(() => window.members.every(({ state }) => state === 'open'));

describe('a signed address', { concurrency: 3 }, () => {
  everyEngine('a function makes one for each attempt, and no page is lost when one expires', async (t, engine) => {
    const { meter, site, open } = await start(t, SHORT, { seconds: 2 });
    const page = await open(engine);
    await page.evaluate(() => { window.join(); });
    await until('the count', () => page.evaluate(() => window.members[0].total === 1));
    const asked = site.requests['/sign'];
    await until('a later address', () => site.requests['/sign'] > asked + 2);
    await until('the page to be back', () => isOpen(page));
    assert.ok((await meter.stats('test')).connections > 2);
    // Away for a while: the page itself comes back.
    await meter.stop();
    await until('the end to be seen', async () => !await isOpen(page));
    await meter.run();
    await until('the page to be back', () => isOpen(page));
    assert.deepEqual(await page.evaluate(() => window.members[0].errors.filter(({ final }) => final)), []);
  });

  everyEngine('an element asks its signer, again when that fails, and is one member however often it is there', async (t, engine) => {
    const { meter, site } = await start(t, [...SHORT, '--enable-uuid'], { seconds: 2, failures: 1 });
    const page = await engine.openPage(t);
    await page.goto(site.url('/element'));
    const shown = () => page.evaluate(() => [...document.querySelectorAll('audience-meter')].map((one) => one.shadowRoot?.textContent));
    await until('both numbers', async () => (await shown()).every((text) => text === '1'));
    const asked = site.requests['/address'];
    await until('later addresses', () => site.requests['/address'] > asked + 2);
    await until('one member', async () => (await meter.stats('test')).members === 1);
    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('audience-meter')].map((one) => one.signer)), ['../address', '/address']);

    await page.goto(site.url('/broken'));
    assert.match(await until('the error', () => page.evaluate(() => window.problem?.message)), /is no address of an event$/);
  });

  everyEngine('a function that fails is called again, and has the id of the browser', async (t, engine) => {
    const { meter, site, open } = await start(t, ['--enable-uuid'], { failures: 2 });
    const page = await open(engine);
    await page.evaluate(() => {
      window.join(undefined, { uuid: 'a b' });
      window.join(); // the same function: one stream
    });
    await until('the count', () => isOpen(page));
    assert.deepEqual(await meter.stats('test'), { members: 1, connections: 1 });
    assert.equal(site.requests['/sign'], 3);
    const errors = await page.evaluate(() => window.members[0].errors);
    assert.deepEqual(errors.map(({ final }) => final), [false, false]);
    await page.evaluate(() => { window.members.forEach((member) => member.close()); });
    await until('the page to have left', async () => await meter.members('test') === 0);
  });

  everyEngine('one that is refused is final and told once, at first and on the way back', async (t, engine) => {
    const { meter, open } = await start(t, SHORT);
    const page = await open(engine);
    const forged = address(meter, 'other', '', 60).replace('other', 'test');
    await page.evaluate((url) => { window.join(url); }, forged);
    const errors = (index) => page.evaluate((at) => window.members[at].errors.filter(({ final }) => final).map(({ message }) => message), index);
    const ended = (index) => until('the end', () => page.evaluate((at) => window.members[at].state === 'closed' && window.members[at].errors.length > 0, index));
    await ended(0);
    assert.match((await errors(0)).join('; '), /signature=\w+ is no event to join: it answers 403, forged$/);
    assert.deepEqual(await meter.stats('test'), { members: 0, connections: 0 });

    await page.evaluate((url) => { window.join(url); }, address(meter, 'test', '', 3));
    await ended(1);
    assert.match((await errors(1)).join('; '), /it answers 403, expired$/);
    const { connections } = await meter.stats('test');
    assert.ok(connections > 0);
    await remains({ members: 0, connections }, () => meter.stats('test'), 500);
    assert.deepEqual([(await errors(0)).length, (await errors(1)).length], [1, 1]);
  });

  everyEngine('the snippet of the manual joins', async (t, engine) => {
    const { meter } = await start(t, []);
    const manual = await readFile(new URL('../../src/manual/joining.md', import.meta.url), 'utf8');
    const [, snippet] = /^```html\n([^]*?)^```$/m.exec(manual);
    const site = await serve(t, {
      '/': `<!doctype html><meta charset="utf-8">${snippet.replaceAll('http://YOUR-SERVER.COM', meter.url('audience'))}`,
      '/address-of-my-event': (_, response) => response.end(address(meter, 'my-event', '', 60).slice(meter.url('audience').length)),
    });
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await shows(page, '#total', '1');
    assert.deepEqual(page.complaints, []);
  });

  everyEngine('tabs share a stream by a name', async (t, engine) => {
    const { meter, open } = await start(t, []);
    const first = await open(engine);
    const second = await open(engine, first);
    await first.evaluate(() => { window.join(undefined, { shared: 'by name' }); });
    await until('the count', () => isOpen(first));
    await second.evaluate(() => { window.join(undefined, { shared: 'by name' }); });
    await until('the count in the other', () => isOpen(second));
    assert.deepEqual(await meter.stats('test'), { members: 1, connections: 1 });
    await second.evaluate(() => { window.join((uuid) => window.sign(uuid), { shared: true }); });
    await until('a stream of its own', async () => (await meter.stats('test')).connections === 2);
  });
});
