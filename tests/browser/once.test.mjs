// once.test.mjs: a page is one member of an event, however often and by whichever copy of the script it joins it; a page
// that is prepared and not shown is none.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, remains, serve, stream, until } from './harness.mjs';

const SCRIPTS = {
  '/audience.js': new URL('../../client/audience.js', import.meta.url),
  '/copy.js': new URL('../../client/audience.js', import.meta.url),
  '/element.js': new URL('../../client/element.js', import.meta.url),
  '/audience.min.js': new URL('../../client/audience.min.js', import.meta.url),
};

describe('one stream per page and address', { concurrency: 3 }, () => {
  everyEngine('module, a copy of it, the classic script and elements share a stream; the later are told at once', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const url = meter.url('audience', '/test');
    const page = await openPage(t, engine, `
      <script src="/audience.min.js"></script>
      <script type="module" src="/element.js"></script>
      <audience-meter src="${url}">–</audience-meter>
      <script type="module">
        import * as first from '/audience.js';
        import * as copy from '/copy.js';
        const join = (by, options) => {
          const member = by.audience('${url}', options);
          members.push(member);
          member.counts = [];
          member.onCount((total) => member.counts.push(total));
          member.onMessage(({ text }) => member.counts.push(text));
        };
        window.members = [];
        join(first);
        join(copy, { shared: true });
        join(window);
        window.later = () => join(copy);
      </script>`);
    const told = (condition) => until('all to be told', async () => {
      const counts = await page.evaluate(() => window.members?.map(({ counts }) => counts) ?? []);
      return counts.length && counts.every(condition);
    });
    await told((counts) => counts[0] === 1);
    assert.deepEqual(await meter.stats('test'), { members: 1, connections: 1 });
    // The count is pushed again after 25 s only, so it is the page that passes it on.
    await page.evaluate(() => { window.later(); });
    await told((counts) => counts.includes(1));
    assert.deepEqual(await page.evaluate(() => window.members[3].state), 'open');
    await meter.notify('test', 'to', 'all');
    await told((counts) => counts.filter((one) => one === 'all').length === 1);

    await page.evaluate(() => { window.members.slice(0, 3).forEach((member) => member.close()); });
    await page.evaluate(() => { document.querySelector('audience-meter').remove(); });
    await remains({ members: 1, connections: 1 }, () => meter.stats('test'), 300);
    await page.evaluate(() => { window.members[3].close(); });
    await until('the page to have left', async () => await meter.members('test') === 0);
    await page.evaluate(() => { window.later(); });
    await until('the page to be back', async () => await meter.members('test') === 1);
    assert.equal((await meter.stats('test')).connections, 2);
  });

  everyEngine('what is final is final for all, and one of them may join anew at once', async (t, engine) => {
    let exists = false;
    const server = await serve(t, {
      '/test': (request, response) => {
        if (!exists) response.writeHead(404, { 'Access-Control-Allow-Origin': '*' }).end();
        else if (request.method === 'HEAD') response.end();
        else stream(response, 'data: 7\n\n');
      },
      '/open': (_, response) => {
        exists = true;
        response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end();
      },
    });
    const page = await openPage(t, engine, `<script type="module">
      import { audience } from '/audience.js';
      const [first, second] = window.members = [audience('${server.url('/test')}'), audience('${server.url('/test')}')];
      first.addEventListener('close', async () => {
        window.members.push(audience('${server.url('/test')}'));
        window.asked = window.members[2].state;
        await fetch('${server.url('/open')}');
        window.members.push(audience('${server.url('/test')}?anew'));
      });
    </script>`);
    await until('all to be settled', () => page.evaluate(() => window.members?.length === 4
      && window.members.every(({ state }) => state === 'closed' || state === 'open')));
    const states = await page.evaluate(() => window.members.map(({ state }) => state));
    assert.deepEqual([states[0], states[1], states[3]], ['closed', 'closed', 'open']);
    assert.equal(await page.evaluate(() => window.asked), 'connecting');
  });

  everyEngine('a page that is prepared and not shown joins when it is shown', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const url = meter.url('audience', '/test');
    const page = await openPage(t, engine, `
      <script>Object.defineProperty(document, 'prerendering', { value: true, configurable: true });</script>
      <script src="/audience.min.js"></script>
      <script type="module" src="/element.js"></script>
      <audience-meter src="${url}">–</audience-meter>
      <audience-meter shared src="${url}?shared">–</audience-meter>
      <script>window.members = [audience('${url}?classic')];</script>
      <script type="module">
        import { audience } from '/audience.js';
        window.members.push(audience('${url}?module'));
      </script>`);
    await until('the scripts to have run', () => page.evaluate(() => window.members?.length === 2));
    assert.deepEqual(await page.evaluate(() => window.members.map(({ state }) => state)), ['paused', 'paused']);
    await remains({ members: 0, connections: 0 }, () => meter.stats('test'), 500);
    await page.evaluate(() => {
      Object.defineProperty(document, 'prerendering', { value: false });
      document.dispatchEvent(new Event('prerenderingchange'));
    });
    await until('all four to be there', async () => await meter.members('test') === 4);
    assert.equal((await meter.stats('test')).connections, 4);
  });
});

/** A page of another origin than the daemon's. */
async function openPage(t, engine, body) {
  const site = await serve(t, { ...SCRIPTS, '/': `<!doctype html><meta charset="utf-8">${body}` });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  return page;
}
