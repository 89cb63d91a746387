// policy.test.mjs: the pages of the daemon under the policies that they are served with, which name what is theirs by hashes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'node:net';
import { once } from 'node:events';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, shows, until } from './harness.mjs';

/** What listens for what is refused from now on; that a page came whole is seen by what it shows. */
const LISTEN = () => {
  window.violations ??= [];
  document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.effectiveDirective} ${event.blockedURI}`));
};

test('the dashboard is served with a policy that lets no code in but its own', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const { headers } = await fetch(meter.url('stats', '/'), { headers: { Accept: 'text/html', 'Accept-Encoding': 'gzip' } });
  const hash = "'sha256-[\\w+/]{43}='";
  assert.match(headers.get('content-security-policy'), new RegExp(`^default-src 'none'; style-src ${hash}; script-src ${hash}; connect-src 'self'; img-src data:; `
    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'$"));
});

everyEngine('the dashboard does all that it does under its policy, and nothing else', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  await join(t, meter, ['large', 'large', 'small']);
  const page = await engine.openPage(t);
  await page.before?.(LISTEN);
  await page.goto(meter.url('stats', '/#/large'));
  if (!page.before) await page.evaluate(LISTEN);
  await shows(page, '#state', 'Live');
  await shows(page, '#now', '2');
  await until('two rows in their places', () => page.evaluate(() => [...document.querySelectorAll('.row:not([hidden])')]
    .filter((row) => /^translateY\(\d+px\)$/.test(row.style.transform)).length === 2));
  await until('the bar of the node', () => page.evaluate(() => document.querySelector('#node-list i')?.getBoundingClientRect().width > 10));
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('#said')).position), 'absolute', 'no style');
  await page.evaluate(() => {
    document.getElementById('theme').click();
    document.getElementById('all').click();
    document.querySelector('[data-by=name]').click();
    const chart = document.getElementById('chart');
    const { left, top, width, height } = chart.getBoundingClientRect();
    for (const type of ['pointerenter', 'pointermove']) {
      chart.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: left + width / 2, clientY: top + height / 2, pointerType: 'mouse' }));
    }
  });
  await shows(page, '#chosen', 'All events');
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  await smuggle(page, [' style-src-elem ', ' style-src-attr ', ' script-src-elem ', ' script-src-attr ', ' img-src ', ' connect-src ']);
});

everyEngine('the demo pages do all that they do under their policies, and nothing else', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  for (const path of ['/', '/test']) {
    const page = await engine.openPage(t);
    await page.before?.(LISTEN);
    await page.goto(meter.url('demo', path));
    if (!page.before) await page.evaluate(LISTEN);
    if (path === '/test') await shows(page, '#total', '1');
    else await until('the command', async () => (await page.text('#command')).endsWith(meter.url('audience', '/test')));
    assert.deepEqual(await page.evaluate(() => window.violations), []);
    await smuggle(page, [' style-src-elem ', ' style-src-attr ', ' script-src-elem ', ' script-src-attr ', ' img-src ', ' connect-src ']);
    await page.close();
  }
});

/** Puts into a page what a stranger might, and waits until each kind of it was refused. */
async function smuggle(page, directives) {
  await page.evaluate(() => {
    document.body.insertAdjacentHTML('beforeend', '<img src="/x.png" onerror="window.ran = true"><p id="red" style="color: rgb(255, 0, 0)">');
    for (const [name, text] of [['style', 'body { color: rgb(255, 0, 0) !important }'], ['script', 'window.ran = true']]) {
      const element = document.createElement(name);
      element.textContent = text;
      document.body.append(element);
    }
    fetch('http://127.0.0.1:9/').catch(() => {});
  });
  const missing = async () => {
    const seen = await page.evaluate(() => window.violations);
    return directives.filter((directive) => !seen.some((one) => ` ${one}`.startsWith(directive)));
  };
  await until('what is refused', async () => (await missing()).length === 0).catch(async (error) => {
    throw new Error(`${error.message}: not ${await missing()} of ${await page.evaluate(() => window.violations)}`);
  });
  assert.deepEqual(await page.evaluate(() => [window.ran ?? null, ...['body', '#red']
    .map((selector) => getComputedStyle(document.querySelector(selector)).color === 'rgb(255, 0, 0)')]), [null, false, false]);
}

/** Members from outside of the browser, who stay until the test is over. */
async function join(t, meter, names) {
  const { port } = new URL(meter.url('audience'));
  for (const name of names) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => socket.destroy());
    socket.write(`GET /${name} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
    await once(socket, 'data');
    socket.resume();
  }
}
