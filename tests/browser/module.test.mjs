// module.test.mjs: client/audience.js in a real browser: leaving, coming back, and not coming back. What several
// tabs share is tested in shared.test.mjs, the element in element.test.mjs.
//
// The pages here are of another origin than the daemon, as an event's page is, in three engines.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { everyEngine } from './engines.mjs';
import { ALONE, ANY_ORIGIN, DEADLINE_MS, Meter, noteWaits, remains, scriptOf, serve, stream, until } from './harness.mjs';

const MODULE = new URL('../../client/audience.js', import.meta.url);

/** Joins what is behind the #, and keeps what it is told in `seen`. */
const PAGE = `<script type="module">
  import { audience } from '/audience.js';
  const seen = window.seen = { opens: 0, counts: [], messages: [], errors: [] };
  const member = window.member = audience(location.hash.slice(1), window.options);
  member.addEventListener('open', () => { seen.opens += 1; });
  member.onError((error) => seen.errors.push(error));
  window.unsubscribe = member.onCount((total) => seen.counts.push(total));
  member.onMessage((message) => seen.messages.push(message));
</script>`;

/** In a page before its scripts: notes all that it asks for. */
const NOTE_REQUESTS = `
  window.asked = [];
  ['EventSource', 'fetch'].forEach((name) => {
    window[name] = new Proxy(window[name], {
      apply: (...call) => (window.asked.push(name), Reflect.apply(...call)),
      construct: (...call) => (window.asked.push(name), Reflect.construct(...call)),
    });
  });`;

/** Three times the longest wait after which the daemon has a page come back. */
const RETRIES_MS = 1_500;

describe('audience.js', { concurrency: 3 }, () => {
  everyEngine('counts are numbers, messages come as they were sent', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await join(t, engine, meter.url('audience', '/test'));
    await told(page, 'the count', (seen) => seen.counts.includes(1));
    await meter.notify('test', 'chat', 'a=b%20c');
    await meter.notify('test', 'empty', '');
    await told(page, 'both messages', (seen) => seen.messages.length === 2);
    assert.deepEqual(await page.evaluate(() => window.seen.messages), [
      { service: 'chat', text: 'a=b%20c' }, { service: 'empty', text: '' },
    ]);
    assert.deepEqual(await page.evaluate(() => [window.member.total, window.member.state]), [1, 'open']);
    assert.deepEqual(await page.evaluate(() => window.seen.errors), []);
  });

  everyEngine('close() leaves, and what was unsubscribed is not called', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await join(t, engine, meter.url('audience', '/test'));
    await told(page, 'the count', (seen) => seen.counts.includes(1));
    await page.evaluate(() => window.unsubscribe());
    await join(t, engine, meter.url('audience', '/test'));
    await until('the total to become 2', () => page.evaluate(() => window.member.total === 2));
    assert.deepEqual(await page.evaluate(() => window.seen.counts.filter((total) => total !== 1)), []);
    await page.evaluate(() => window.member.close());
    await until('one member to be left', async () => await meter.members('test') === 1);
    assert.equal(await page.evaluate(() => window.member.state), 'closed');
  });

  everyEngine('a daemon that was killed and started again has its members back', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const pages = [await join(t, engine, meter.url('audience', '/test')), await join(t, engine, meter.url('audience', '/test'))];
    await told(pages[0], 'the count', (seen) => seen.counts.includes(2));
    await meter.stop('SIGKILL');
    for (const page of pages) await told(page, 'the browser to have tried in vain', (seen) => seen.errors.length >= 2);
    await meter.run();
    for (const page of pages) await told(page, 'to be back', (seen) => seen.opens === 2 && seen.counts.at(-1) === 2);
    assert.equal((await meter.stats('test')).connections, 2);
    assert.equal(await pages[0].evaluate(() => window.seen.errors.some(({ final }) => final)), false);
  });

  everyEngine('pages that are let go come back to a sibling', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--drain-delay', '1');
    const pages = [await join(t, engine, meter.url('audience', '/test')), await join(t, engine, meter.url('audience', '/test'))];
    await told(pages[0], 'the count', (seen) => seen.counts.includes(2));
    const sibling = await meter.sibling(t);
    await meter.stop('SIGTERM');
    for (const page of pages) {
      await told(page, 'to be back', (seen) => seen.opens >= 2 && seen.counts.at(-1) === 2);
      assert.equal(await page.evaluate(() => window.seen.errors.some(({ final }) => final)), false);
    }
    assert.equal(await sibling.members('test'), 2);
  });

  everyEngine('after a restart all come back, spread over the time that the daemon wishes', async (t, engine) => {
    const meter = await Meter.start(t, '-w', '1', '--retry-min', '0.5', '--retry-max', '3');
    const url = meter.url('audience', '/test');
    const pages = [];
    // A browser profile opens six connections to a host.
    while (pages.length < 3) pages.push(await join(t, engine, url));
    for (const page of pages) {
      await page.evaluate(async (address) => {
        const { audience } = await import('/audience.js');
        window.back = [];
        window.members = [window.member];
        // The daemon drops a query: to the page these are five addresses, to the daemon one event.
        while (window.members.length < 5) window.members.push(audience(`${address}?${window.members.length}`));
        await Promise.all(window.members.map((member) => new Promise((open) => {
          if (member.state === 'open') open();
          else member.addEventListener('open', open, { once: true });
        })));
        window.members.forEach((member) => member.addEventListener('open', () => window.back.push(Date.now())));
      }, url);
    }
    assert.equal(await meter.members('test'), 15);
    await meter.stop('SIGKILL');
    await meter.run();
    const all = () => Promise.all(pages.map((page) => page.evaluate(() => window.back))).then((back) => back.flat());
    await until('all to be back', async () => (await all()).length === 15);
    assert.deepEqual(await meter.stats('test'), { members: 15, connections: 15 });
    const back = (await all()).sort((one, other) => one - other);
    // Drawn from 2.5 s: that all 15 are within 0.8 s of each other happens once in half a million runs.
    assert.ok(back.at(-1) - back[0] > 800, `all came back within ${back.at(-1) - back[0]} ms`);
  });

  everyEngine('a silent stream is joined anew, and one that is told the same count again is not', async (t, engine) => {
    let streams = 0;
    let closed = 0;
    const server = await serve(t, {
      '/test': (request, response) => {
        streams += 1;
        request.on('close', () => { closed += 1; });
        stream(response, `data: ${streams}\n\n`);
      },
    });
    const page = await join(t, engine, server.url('/test'), { silenceMs: 400, backoffMs: 50 });
    await told(page, 'two more counts', (seen) => seen.counts.length >= 3 && seen.opens >= 3);
    assert.match(await page.evaluate(() => window.seen.errors[0].message), /was silent, trying again$/);
    await page.evaluate(() => window.member.close());
    await until('all streams to be closed', () => closed === streams);

    const meter = await Meter.start(t, ...ALONE, '--notify-max-delay', '0.3');
    const other = await join(t, engine, meter.url('audience', '/test'), { silenceMs: 1_500 });
    await told(other, 'ten counts', (seen) => seen.counts.length >= 10);
    assert.deepEqual(await other.evaluate(() => window.seen.errors), []);
    assert.equal((await meter.stats('test')).connections, 1);
  });

  everyEngine('offline leaves, online comes back', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    // Told that it is offline, a page waits the longest of its waits, and told that it is online, none.
    const waits = { backoffMs: 4 * DEADLINE_MS, backoffMaxMs: 4 * DEADLINE_MS };
    const page = await join(t, engine, meter.url('audience', '/test'), waits, 'Math.random = () => window.drawn;');
    await told(page, 'the count', (seen) => seen.counts.includes(1));
    await page.evaluate(() => { window.drawn = 1; });
    await cutOff(engine, page, true);
    await until('the member to be gone', async () => await meter.members('test') === 0);
    assert.equal(await page.evaluate(() => window.member.state), 'connecting');
    await page.evaluate(() => { window.drawn = 0; });
    await cutOff(engine, page, false);
    await told(page, 'to be open', (seen) => seen.opens === 2);
    assert.equal(await meter.members('test'), 1);
  });

  everyEngine('pauseWhenHidden leaves a hidden page out', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await join(t, engine, meter.url('audience', '/test'), { pauseWhenHidden: true });
    await told(page, 'the count', (seen) => seen.counts.includes(1));
    await show(page, 'hidden');
    await until('the member to be gone', async () => await meter.members('test') === 0);
    assert.equal(await page.evaluate(() => window.member.state), 'paused');
    await show(page, 'visible');
    await told(page, 'to be back', (seen) => seen.opens === 2);
    assert.deepEqual(await page.evaluate(() => window.seen.errors), []);
    await show(page, 'hidden');
    await until('the member to be gone again', async () => await meter.members('test') === 0);
    await page.evaluate(() => window.member.close());
    await show(page, 'visible');
    await remains({ members: 0, connections: 2 }, () => meter.stats('test'), 500);

    const opened = await join(t, engine, meter.url('audience', '/test'), { pauseWhenHidden: true },
      "Object.defineProperty(document, 'hidden', { value: true, configurable: true });");
    assert.equal(await opened.evaluate(() => window.member.state), 'paused');
    await remains({ members: 0, connections: 2 }, () => meter.stats('test'), 300);
    await show(opened, 'visible');
    await told(opened, 'to be in', (seen) => seen.opens === 1);
  });

  everyEngine('an AbortSignal leaves for good, and one that has been aborted never joins', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const url = meter.url('audience', '/test');
    const page = await join(t, engine, url);
    await told(page, 'the count', (seen) => seen.counts.includes(1));
    const states = await page.evaluate(async (address) => {
      const { audience } = await import('/audience.js');
      const abort = new AbortController();
      const member = audience(`${address}?another`, { signal: abort.signal });
      await new Promise((open) => { member.addEventListener('open', open); });
      const closed = new Promise((close) => { member.addEventListener('close', close); });
      abort.abort();
      await closed;
      return [member.state, audience(address, { signal: abort.signal }).state];
    }, url);
    assert.deepEqual(states, ['closed', 'closed']);
    await until('one to be left', async () => await meter.members('test') === 1);
    assert.equal((await meter.stats('test')).connections, 2);
  });

  everyEngine('for await tells the latest total, ends with close(), and throws what is final', async (t, engine) => {
    const server = await serve(t, {
      '/test': (_, response) => stream(response, 'data: 1\n\ndata: 2\n\ndata: 3\n\n'),
      '/none': (_, response) => response.writeHead(404).end(),
    });
    const page = await join(t, engine, server.url('/test'));
    await told(page, 'the counts', (seen) => seen.counts.includes(3));
    assert.deepEqual(await page.evaluate(async () => {
      const totals = [];
      for await (const total of window.member) {
        totals.push(total);
        if (totals.length === 2) break;
        window.member.dispatchEvent(new CustomEvent('count', { detail: 4 }));
        window.member.dispatchEvent(new CustomEvent('count', { detail: 5 }));
      }
      const rest = window.member[Symbol.asyncIterator]();
      totals.push((await rest.next()).value);
      const end = rest.next();
      window.member.close();
      return [...totals, (await end).done, (await rest.next()).done, (await rest.return()).done];
    }), [3, 5, 3, true, true, true]);
    const failure = await page.evaluate(async (address) => {
      const { audience } = await import('/audience.js');
      try {
        for await (const total of audience(address)) return total;
      } catch (error) {
        return error.message;
      }
    }, server.url('/none'));
    assert.match(failure, /\/none is no event to join: /);
  });

  everyEngine('a left page is counted out within a second, and in again when it is shown again', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    const page = await join(t, engine, meter.url('audience', '/test'));
    await told(page, 'the count', (seen) => seen.counts.includes(1));
    await page.evaluate(() => {
      window.addEventListener('pageshow', ({ persisted }) => { window.seen.persisted = persisted; });
    });
    const elsewhere = await serve(t, { '/': '<!doctype html>elsewhere' });
    await page.goto(elsewhere.url('/'));
    await until('the left page to be counted out', async () => await meter.members('test') === 0, 1_000);
    await page.back();
    await until('the page to be counted in again', async () => await meter.members('test') === 1);
    // Firefox, where it is driven, loads the page anew.
    const back = engine.name === 'firefox' ? (seen) => seen.opens === 1 : (seen) => seen.persisted && seen.opens === 2;
    await told(page, 'to be back, the same page as before', back);
  });

  everyEngine('a uuid that joins elsewhere ends the first page for good', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const one = await join(t, engine, meter.url('audience', '/test/somebody'));
    await told(one, 'the count', (seen) => seen.counts.includes(1));
    const two = await join(t, engine, meter.url('audience', '/test/somebody'));
    await told(two, 'the count', (seen) => seen.counts.includes(1));
    await until('the first to be closed', () => one.evaluate(() => window.member.state === 'closed'));
    assert.match(await one.evaluate(() => window.seen.errors.at(-1).message), /joined anew elsewhere/);
    await remains({ members: 1, connections: 2 }, () => meter.stats('test'), RETRIES_MS);
    assert.deepEqual(await two.evaluate(() => [window.member.state, window.seen.errors.length]), ['open', 0]);
  });

  everyEngine('a proxy whose daemon is away for a moment is no farewell', async (t, engine) => {
    const streams = [];
    let away = false;
    const server = await serve(t, {
      '/test/somebody': (_, response) => {
        if (away) return response.writeHead(502).end();
        streams.push(stream(response, `retry: 100\n\ndata: ${streams.length + 1}\n\n`));
      },
    });
    const page = await join(t, engine, server.url('/test/somebody'));
    await told(page, 'the first count', (seen) => seen.counts.includes(1));
    away = true;
    streams[0].end();
    await told(page, 'the browser to have given up', (seen) => seen.errors.length >= 2);
    away = false;
    await told(page, 'to be back', (seen) => seen.opens === 2 && seen.counts.at(-1) > 1);
  });

  for (const [what, { answer, why, requests = 2 }] of Object.entries({
    'a wrong address': {
      answer: (_, response) => response.writeHead(404, ANY_ORIGIN).end(),
      why: /: it answers 404$/,
    },
    'a wrong address of another site': {
      answer: (_, response) => response.writeHead(404).end(),
      why: /: a wrong address, or this page's origin is not allowed$/,
      requests: 4, // what a page may not read is asked for without reading, and once more: it may have come up in between
    },
    'a server that refuses this page': {
      answer: (_, response) => response.writeHead(403, ANY_ORIGIN).end(),
      why: /: it answers 403, this page's origin is not allowed$/,
    },
    'an ordinary page': {
      answer: (_, response) => response.writeHead(200, { ...ANY_ORIGIN, 'Content-Type': 'text/html' }).end('1'),
      why: /: it answers text\/html, not an event stream$/,
    },
    'an origin that is not allowed': {
      answer: (_, response) => response.writeHead(200, { 'Content-Type': 'text/event-stream' }).end('data: 1\n\n'),
      why: /: a wrong address, or this page's origin is not allowed$/,
      requests: 4,
    },
  })) {
    everyEngine(`${what} is a clear error, and only the reason is asked for`, async (t, engine) => {
      const server = await serve(t, { '/test': answer });
      const page = await join(t, engine, server.url('/test'));
      await until('the member to be closed', () => page.evaluate(() => window.member.state === 'closed'));
      const errors = await page.evaluate(() => window.seen.errors);
      assert.deepEqual(errors, [{ final: true, message: errors[0].message }]);
      assert.match(errors[0].message, /\/test is no event to join: /);
      assert.match(errors[0].message, why);
      await remains(requests, () => server.requests['/test'], 1_500);
    });
  }

  everyEngine('where nobody answers it is asked again less and less often', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE);
    await meter.stop('SIGKILL');
    const page = await join(t, engine, meter.url('audience', '/test'), {}, NOTE_REQUESTS);
    await told(page, 'an error', (seen) => seen.errors.length > 0);
    await pause(3_000);
    // 1, 2, 4, 8 ... seconds at most and half of that on average: three in this time, and nine hardly ever.
    const streams = (await page.evaluate(() => window.asked)).filter((one) => one === 'EventSource').length;
    assert.ok(streams >= 1 && streams < 9, `${streams} attempts`);
    assert.match(await page.evaluate(() => window.seen.errors[0].message), /\/test does not answer, trying again$/);
    assert.equal(await page.evaluate(() => window.seen.errors.some(({ final }) => final)), false);
    await meter.run();
    await told(page, 'the count', (seen) => seen.counts.length > 0);
  });

  everyEngine('a daemon that does not allow the page says so, and counts nobody', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--allow-origin', 'http://elsewhere.example');
    const page = await join(t, engine, meter.url('audience', '/test'));
    await told(page, 'a final error', (seen) => seen.errors.some(({ final }) => final));
    assert.match(await page.evaluate(() => window.seen.errors[0].message), /this page's origin is not allowed$/);
    assert.deepEqual(await meter.stats('test'), { members: 0, connections: 0 });
  });

  for (const address of ['http://[', 'ftp://h/test', 'nonsense:']) {
    everyEngine(`${address} is a clear error, and nobody is asked`, async (t, engine) => {
      const page = await join(t, engine, address, {}, NOTE_REQUESTS);
      await told(page, 'an error', (seen) => seen.errors.length === 1);
      assert.deepEqual(await page.evaluate(() => [window.seen.errors[0], window.member.state]), [
        { message: `${address} is no address of an event`, final: true }, 'closed',
      ]);
      assert.deepEqual(await page.evaluate(() => window.asked), []);
    });
  }

  everyEngine('a proxy without its daemon, when the page is loaded, is waited for', async (t, engine) => {
    let away = true;
    const server = await serve(t, {
      '/test': (_, response) => {
        if (away) response.writeHead(502, ANY_ORIGIN).end();
        else stream(response, 'data: 1\n\n');
      },
    });
    const page = await join(t, engine, server.url('/test'));
    await told(page, 'an error', (seen) => seen.errors.length > 0);
    assert.equal(await page.evaluate(() => window.seen.errors[0].final), false);
    away = false;
    await told(page, 'the count', (seen) => seen.counts.includes(1));
  });

  everyEngine('what is neither count nor message is told as an error, and harms nothing', async (t, engine) => {
    const server = await serve(t, {
      '/test': (_, response) => stream(response, 'data: 1\n\ndata: nonsense\n\ndata: -1\n\ndata: 1.5\n\ndata: 2\n\n'),
    });
    const page = await join(t, engine, server.url('/test'));
    await told(page, 'the counts', (seen) => seen.counts.join() === '1,2');
    assert.deepEqual(await page.evaluate(() => window.seen.errors.map(({ final }) => final)), [false, false, false]);
  });

  everyEngine('a failing server is asked again after growing waits, as it wished or more', async (t, engine) => {
    let first;
    const server = await serve(t, {
      '/test': (_, response) => {
        if (first) return response.writeHead(502).end();
        first = stream(response, 'retry: 300\n\ndata: 1\n\n');
      },
    });
    // An option that is undefined is none that was given.
    const unset = 'window.options = { silenceMs: undefined, backoffMs: undefined, backoffMaxMs: undefined };';
    const page = await join(t, engine, server.url('/test'), {}, `${unset}(${noteWaits})();`);
    await told(page, 'a count', (seen) => seen.counts.includes(1));
    first.end();
    const waits = await until('nine waits', () => page.evaluate(() => window.waits.length >= 9 && window.waits));
    const [floor] = waits.map((ms) => ms - 1_000);
    assert.ok(floor >= 290 && floor < 5_000, `a floor of ${floor} ms, the server wished 300`);
    assert.deepEqual(waits.map((ms) => Math.round(ms - floor)), [1e3, 2e3, 4e3, 8e3, 16e3, 3e4, 3e4, 3e4, 3e4]);
  });
});

/** A page that has joined `url`, or is about to. `script` runs before it. */
async function join(t, engine, url, options = {}, script = '') {
  const site = await serve(t, {
    '/': `<!doctype html>${scriptOf(`window.options = ${JSON.stringify(options)};`)}${scriptOf(script)}${PAGE}`,
    '/audience.js': MODULE,
  });
  const page = await engine.openPage(t);
  await page.goto(`${site.url('/')}#${url}`);
  await until('the page to have joined', () => page.evaluate(() => Boolean(window.member)));
  return page;
}

/** Takes the network from a page, or gives it back. But for Chromium, the page is only told. */
async function cutOff(engine, page, isOffline) {
  if (engine.name === 'chromium') await page.context.setOffline(isOffline);
  else await page.evaluate((type) => { dispatchEvent(new Event(type)); }, isOffline ? 'offline' : 'online');
}

/** A page of a headless browser is always visible, so this only says that it is not. */
function show(page, state) {
  return page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value: value === 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
}

/** Waits until what the page was told is as it should be, over navigations too: on its way, a page has no answer. */
async function told(page, what, condition) {
  let seen;
  await until(what, async () => {
    seen = await page.evaluate(() => window.seen).catch((error) => ({ error }));
    return seen && !seen.error && condition(seen);
  }).catch((error) => { throw new Error(`${error.message}; seen: ${JSON.stringify(seen)}`, { cause: seen?.error }); });
}
