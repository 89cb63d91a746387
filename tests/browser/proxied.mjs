// proxied.mjs: a browser whose tabs come to the daemon through a proxy, over https and HTTP/2.
//
// Run by tests/it/beside/proxies/promises.rs, which has started both: node proxied.mjs https://HOST:PORT. Ends with 0 if all is well.

import assert from 'node:assert/strict';
import { launch, openPage, until } from './harness.mjs';

/** More than the six connections that a browser has for a host without HTTP/2. */
const STREAMS = 10;

/** What is promised behind a proxy. */
const PROMISED_MS = 1_000;

const url = process.argv[2];
const ends = [];
const t = { after: (end) => ends.unshift(end) };
try {
  const browser = await launch();
  t.after(() => browser.close());
  const stays = await tab(browser, 1);
  const goes = await tab(browser, STREAMS);
  await hears(stays, STREAMS + 1);
  await hears(goes, STREAMS + 1);
  const protocols = await goes.evaluate(() => performance.getEntriesByType('resource').map((one) => one.nextHopProtocol));
  assert.deepEqual([...new Set(protocols)], ['h2']);

  // One stream of a connection, then a tab with all of its.
  await goes.evaluate(() => window.members.pop().close());
  await hears(stays, STREAMS, PROMISED_MS);
  await goes.close();
  await hears(stays, 1, PROMISED_MS);
} finally {
  for (const end of ends) await end();
}

/** A tab that has joined so many times. */
async function tab(browser, streams) {
  const page = await openPage(t, browser, { ignoreHTTPSErrors: true });
  await page.goto(`${url}/`);
  await page.evaluate(async ([at, count]) => {
    const { audience } = await import(`${at}/client/audience.js`);
    // A page has one stream for each address.
    window.members = Array.from({ length: count }, (_, index) => audience(`${at}/ns?${index}`));
  }, [url, streams]);
  return page;
}

async function hears(page, total, deadlineMs) {
  await until(`all in a tab to hear of ${total}`, () => page.evaluate(
    (expected) => window.members.every((member) => member.total === expected), total,
  ), deadlineMs);
}
