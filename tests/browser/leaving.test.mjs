// leaving.test.mjs: pages that leave an event whose daemon keeps the places of lost streams (`--leave-delay`), in three engines.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, serve, until } from './harness.mjs';

/** Far longer than a test takes: what leaves before has said so. */
const PATIENT = ['--enable-uuid', '--leave-delay', '600'];

/** A daemon, and a page of another origin that joins as the person `u`. */
async function start(t, options = PATIENT, url = "'test'") {
  const meter = await Meter.start(t, ...ALONE, ...options);
  const site = await serve(t, {
    '/audience.js': new URL('../../client/audience.js', import.meta.url),
    '/away': '<!doctype html><p>elsewhere',
    '/': `<!doctype html><script type="module">
      import { audience } from '/audience.js';
      const address = (event) => '${meter.url('audience')}/' + event;
      window.member = audience(${url.replace("'test'", "address('test')")}, { uuid: 'u' });
      window.opens = 0;
      window.member.addEventListener('open', () => { window.opens += 1; });
    </script>`,
  });
  const figures = async () => {
    const { members = 0, waiting = 0, connections = 0 } = await meter.figures('test');
    return [members, waiting, connections];
  };
  const become = (...wanted) => until(`${wanted}`, async () => `${await figures()}` === `${wanted}`);
  return { meter, site, figures, become };
}

describe('a page that leaves says so', { concurrency: 2 }, () => {
  everyEngine('at once when it closes', async (t, engine) => {
    const { site, become } = await start(t);
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await become(1, 0, 1);
    await page.evaluate(() => window.member.close());
    await become(0, 0, 1);
    assert.deepEqual(page.complaints, []);
  });

  everyEngine('and is the same member when it is loaded again, and none when it stays away', async (t, engine) => {
    const { site, figures, become } = await start(t);
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await become(1, 0, 1);
    for (let time = 0; time < 3; time += 1) {
      await page.goto(site.url('/'));
      await until('the page to have a count', () => page.evaluate(() => window.member?.total === 1));
      await become(1, 0, 1);
    }
    await page.goto(site.url('/away'));
    await become(1, 1, 1);
    const since = Date.now();
    await until('its place to be given up', async () => (await figures())[0] === 0, 10_000);
    assert.ok(Date.now() - since < 7_000, 'its place is kept for five seconds');
  });

  everyEngine('by an address that a function makes', async (t, engine) => {
    const { site, become } = await start(t, PATIENT, "(uuid) => address('test/' + uuid + '?v=1#part')");
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await become(1, 0, 1);
    await page.evaluate(() => window.member.close());
    await become(0, 0, 1);
  });
});

describe('a page whose stream is lost says nothing', { concurrency: 2 }, () => {
  everyEngine('and is the same member when it is back', async (t, engine) => {
    const { site, figures } = await start(t, [...PATIENT, '--max-conn-duration', '1']);
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await until('the third stream', () => page.evaluate(() => window.opens > 2));
    assert.deepEqual([(await figures())[0], (await figures())[2]], [1, 1]);
  });
});
