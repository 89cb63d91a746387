// shared.test.mjs: `shared` and `uuid` of client/audience.js in three engines: many tabs, one person.
//
// Tabs of one browser are pages of one profile and one origin. 127.0.0.1 is a secure context, as Web Locks want it.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { everyEngine } from './engines.mjs';
import { ALONE, CLAIMED, Meter, remains, scriptOf, serve, stream, until } from './harness.mjs';

const MODULE = new URL('../../client/audience.js', import.meta.url);

const PAGE = `<script type="module">
  import { audience } from '/audience.js';
  const seen = window.seen = { opens: 0, counts: [], messages: [], errors: [], persisted: false };
  const member = window.member = audience(location.hash.slice(1), window.options ?? { shared: true });
  member.addEventListener('open', () => { seen.opens += 1; });
  member.onError((error) => seen.errors.push(error));
  member.onCount((total) => seen.counts.push(total));
  member.onMessage((message) => seen.messages.push(message));
  addEventListener('pageshow', ({ persisted }) => { seen.persisted = persisted; });
</script>`;

/** The other engines have no process for each tab: where one sleeps, so do those beside it. */
const asleep = (what, body) => everyEngine(what, body, ['chromium']);

describe('shared', { concurrency: 3 }, () => {
  everyEngine('three tabs count as one, and all are told; a new one at once', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const { tabs } = await tabsOf(t, engine, meter.url('audience', '/test'), 2);
    for (const tab of tabs) await knows(tab, 1);
    // The count is told again after 25 s only, so it is the first tab that tells the third.
    const third = await tabs.open();
    await knows(third, 1, 1_000);
    const other = await tabsOf(t, engine, meter.url('audience', '/test'), 1);
    await knows(other.tabs[0], 2);
    for (const tab of tabs) await knows(tab, 2);
    // More than the six connections that a browser opens to a host, and there is one left for other things.
    assert.equal(await third.evaluate(async ([url, elsewhere]) => {
      const { audience } = await import('/audience.js');
      const more = Array.from({ length: 7 }, () => audience(url, { shared: true }));
      await Promise.all(more.map((member) => new Promise((open) => { member.addEventListener('open', open); })));
      await fetch(elsewhere, { mode: 'no-cors' });
      more.forEach((member) => member.close());
      return more[6].total;
    }, [meter.url('audience', '/test'), meter.url('audience', '/crossdomain.xml')]), 2);
    assert.deepEqual(await meter.stats('test'), { members: 2, connections: 2 });
    await meter.notify('test', 'to', 'all');
    for (const tab of tabs) {
      await until('the message', async () => (await tab.evaluate(() => window.seen.messages)).length === 1);
      assert.deepEqual(await tab.evaluate(() => [window.seen.errors, window.seen.opens]), [[], 1]);
    }
  });

  everyEngine('when the tab that has the stream is closed, another takes over within a second, and so on', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const { tabs } = await tabsOf(t, engine, meter.url('audience', '/test'), 3);
    for (const tab of tabs) await knows(tab, 1);
    for (let joined = 2; joined <= 3; joined += 1) {
      await tabs.shift().close();
      const taken = async () => (await meter.stats('test')).connections === joined;
      await until('the next tab to have joined', taken, 1_000);
      await until('one member', async () => await meter.members('test') === 1);
    }
    assert.deepEqual(await tabs[0].evaluate(() => [window.member.state, window.seen.errors]), ['open', []]);
    await tabs[0].evaluate(() => window.member.close());
    await until('nobody to be left', async () => await meter.members('test') === 0);
  });

  everyEngine('close() in one tab hands over too, and a crashed tab does', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const { tabs } = await tabsOf(t, engine, meter.url('audience', '/test'), 3);
    for (const tab of tabs) await knows(tab, 1);
    await tabs[0].evaluate(() => window.member.close());
    await until('the second to have joined', async () => (await meter.stats('test')).connections === 2, 1_000);
    assert.equal(await tabs[1].evaluate(() => window.member.state), 'open');
    // Only Chromium has an address that does so.
    if (engine.name === 'chromium') await tabs[1].goto('chrome://crash').catch(() => {});
    else await tabs[1].close();
    await until('the third to have joined', async () => (await meter.stats('test')).connections === 3);
    await until('one member', async () => await meter.members('test') === 1);
  });

  everyEngine('a restart of the daemon: one comes back, and all tabs know', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const { tabs } = await tabsOf(t, engine, meter.url('audience', '/test'), 3);
    for (const tab of tabs) await knows(tab, 1);
    await meter.stop('SIGKILL');
    for (const tab of tabs) await until('it to be lost', () => tab.evaluate(() => window.member.state === 'connecting'));
    await meter.run();
    for (const tab of tabs) {
      await until('it to be open', () => tab.evaluate(() => window.member.state === 'open' && window.seen.opens === 2));
    }
    assert.deepEqual(await meter.stats('test'), { members: 1, connections: 1 });
  });

  everyEngine('a left tab hands over, and stands in the queue when it is shown again', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const { tabs } = await tabsOf(t, engine, meter.url('audience', '/test'), 1, { shared: true, uuid: true });
    const [left] = tabs;
    await knows(left, 1);
    const elsewhere = await serve(t, { '/': '<!doctype html>elsewhere' });
    await left.goto(elsewhere.url('/'));
    await until('the left page to be counted out', async () => await meter.members('test') === 0, 1_000);
    const other = await tabs.open();
    await knows(other, 1);
    await left.back();
    // Firefox, where it is driven, loads the page anew.
    await until('the page to be shown again, the same as before', () => left.evaluate((isNew) => window.seen?.persisted === !isNew,
      engine.name === 'firefox').catch(() => false));
    await until('it to be open', () => left.evaluate(() => window.member.state === 'open'));
    assert.deepEqual(await meter.stats('test'), { members: 1, connections: 2 });
    await other.close();
    await until('it to have joined', async () => (await meter.stats('test')).connections === 3, 1_000);
    await remains(1, () => meter.members('test'), 500);
    assert.deepEqual(await left.evaluate(() => window.seen.errors.filter(({ final }) => final)), []);
  });

  asleep('a tab that sleeps with the stream in its hands has it taken away', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const { tabs, site } = await tabsOf(t, engine, meter.url('audience', '/test'), 1, { shared: true, uuid: true });
    const [sleeper] = tabs;
    await knows(sleeper, 1);
    const wake = await putToSleep(sleeper, site);
    const other = await tabs.open();
    await until('the other to have taken over', async () => (await meter.stats('test')).connections === 2, 4_000);
    await knows(other, 1);
    await remains(1, () => meter.members('test'), 500);
    // Awake again it has not lost the event: it stands in the queue, and is told by the other.
    wake();
    const visitor = await tabsOf(t, engine, meter.url('audience', '/test'), 1, {});
    for (const tab of [sleeper, other, visitor.tabs[0]]) await knows(tab, 2);
    await other.close();
    await until('the first to have it again', async () => (await meter.stats('test')).connections === 4, 1_000);
    await until('both to be there', async () => await meter.members('test') === 2);
    assert.deepEqual(await sleeper.evaluate(() => window.seen.errors.filter(({ final }) => final)), []);
  });

  for (const [what, { silenceMs, look }] of Object.entries({
    'is looked at': { look: () => document.dispatchEvent(new Event('visibilitychange')) },
    'has heard nothing for long': { silenceMs: 1_500, look: () => {} },
  })) {
    asleep(`a tab that ${what} takes over from one that sleeps`, async (t, engine) => {
      const meter = await Meter.start(t, ...ALONE, '--notify-max-delay', '0.3');
      const { tabs, site } = await tabsOf(t, engine, meter.url('audience', '/test'), 2, { shared: true, silenceMs });
      for (const tab of tabs) await knows(tab, 1);
      const wake = await putToSleep(tabs[0], site);
      await tabs[1].evaluate(look);
      await until('it to have taken over', async () => (await meter.stats('test')).connections === 2);
      wake();
      await until('the first to have let go', async () => await meter.members('test') === 1);
    });
  }

  everyEngine('what is final for one is final for all, and each tab asks nothing more', async (t, engine) => {
    const server = await serve(t, {
      '/none': (_, response) => response.writeHead(404).end(),
    });
    const { tabs } = await tabsOf(t, engine, server.url('/none'), 1);
    await until('an end', () => tabs[0].evaluate(() => window.member.state === 'closed'));
    assert.equal(await tabs[0].evaluate(() => window.seen.errors.at(-1).final), true);

    const streams = [];
    let away = false;
    const event = await serve(t, {
      '/test': (_, response) => {
        if (away) response.writeHead(204, CLAIMED).end();
        else streams.push(stream(response, 'retry: 50\n\ndata: 7\n\n'));
      },
    });
    const sent = await tabsOf(t, engine, event.url('/test'), 3);
    for (const tab of sent.tabs) await knows(tab, 7);
    away = true;
    streams[0].end();
    for (const tab of sent.tabs) await until('an end', () => tab.evaluate(() => window.member.state === 'closed'));
    for (const tab of sent.tabs) {
      assert.match(await tab.evaluate(() => window.seen.errors.at(-1).message), /joined anew elsewhere$/);
    }
    const asked = event.requests['/test'];
    assert.ok(asked <= 4, `${asked} requests: joined, come back, the reason, and whether that may be asked`);
    await remains(asked, () => event.requests['/test'], 1_500);
  });

  for (const [what, script] of Object.entries({
    'Web Locks': () => { Object.defineProperty(navigator, 'locks', { value: undefined }); },
    BroadcastChannel: () => { delete window.BroadcastChannel; },
  })) {
    everyEngine(`without ${what} each tab has a stream of its own`, async (t, engine) => {
      const meter = await Meter.start(t, ...ALONE);
      const { tabs } = await tabsOf(t, engine, meter.url('audience', '/test'), 2, { shared: true }, script);
      for (const tab of tabs) await knows(tab, 2);
      assert.equal(await meter.members('test'), 2);
    });
  }

  everyEngine('in a sandbox, where locks are refused, it has a stream of its own', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const site = await serve(t, {
      '/audience.js': (_, response) => {
        response.writeHead(302, { Location: meter.url('audience', '/client/audience.js'), 'Access-Control-Allow-Origin': '*' });
        response.end();
      },
      '/inner': `<!doctype html>${PAGE}`,
      '/': '<!doctype html><iframe sandbox="allow-scripts"></iframe>',
    });
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await page.evaluate((url) => { document.querySelector('iframe').src = url; },
      `${site.url('/inner')}#${meter.url('audience', '/test')}`);
    await until('the frame to be counted', async () => await meter.members('test') === 1);
  });

  everyEngine('uuid: one id per browser, kept, and one where nothing may be kept', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const url = meter.url('audience', '/test?x#y');
    const { tabs } = await tabsOf(t, engine, url, 1, { uuid: true }, () => {
      window.asked = [];
      window.EventSource = new Proxy(EventSource, { construct: (of, [address]) => (window.asked.push(address), new of(address)) });
    });
    await knows(tabs[0], 1);
    const idOf = (tab) => tab.evaluate(() => localStorage.getItem('audience-meter'));
    const id = await idOf(tabs[0]);
    assert.match(id, /^[0-9a-z]{20,28}$/);
    await tabs[0].reload();
    await knows(tabs[0], 1);
    assert.deepEqual(await tabs[0].evaluate(() => window.asked), [meter.url('audience', `/test/${id}?x#y`)]);
    assert.equal(await idOf(tabs[0]), id);

    const second = await tabs.open();
    await knows(second, 1);
    await until('the first to be sent away', () => tabs[0].evaluate(() => window.member.state === 'closed'));
    assert.equal(await meter.members('test'), 1);

    const stranger = await tabsOf(t, engine, url, 1, { uuid: true }, () => {
      Object.defineProperty(window, 'localStorage', { get() { throw new Error('not allowed'); } });
    });
    await knows(stranger.tabs[0], 2);
    assert.equal(await meter.members('test'), 2);
  });
});

/** So many tabs of one browser that have joined `url`, and a way to open more. */
async function tabsOf(t, engine, url, count, options = { shared: true }, script = '') {
  const site = await serve(t, {
    '/': `<!doctype html>${scriptOf(`window.options = ${JSON.stringify(options)};`)}${scriptOf(script)}${PAGE}`,
    '/audience.js': MODULE,
    '/dream': (_, response) => { site.dream = () => response.end(); },
  });
  const tabs = [];
  let profile;
  tabs.open = async () => {
    const tab = await engine.openPage(t, { profile });
    profile ??= tab;
    await tab.goto(`${site.url('/')}#${url}`);
    await until('the tab to have joined', () => tab.evaluate(() => Boolean(window.member)));
    return tab;
  };
  while (tabs.length < count) tabs.push(await tabs.open());
  return { tabs, site };
}

/** A headless browser freezes no page, but nothing runs in one that waits for an answer in the old way. */
async function putToSleep(tab, site) {
  await tab.evaluate(() => {
    const request = new XMLHttpRequest();
    request.open('GET', '/dream', false);
    setTimeout(() => request.send());
  });
  return until('the tab to be asleep', () => site.dream);
}

/** Waits until the tab was told this total last. */
async function knows(tab, total, deadlineMs) {
  let seen;
  await until(`a tab to know of ${total}`, async () => {
    seen = await tab.evaluate(() => window.seen);
    return seen.counts.at(-1) === total;
  }, deadlineMs).catch((error) => { throw new Error(`${error.message}; seen: ${JSON.stringify(seen)}`); });
}
