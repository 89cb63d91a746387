// readme.test.mjs: what README.md, the manual and client/README.md tell a page to hold, as it stands there, in three engines.
// Only the address of the server is put in its place, and around it what the text takes for granted.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { everyEngine } from './engines.mjs';
import { ALONE, JQUERY, Meter, serve, shows, until } from './harness.mjs';

/** As much of React as a hook needs that joins once. */
const REACT = `
  export const useEffect = (effect) => { globalThis.unmount = effect(); };
  export const useState = () => [null, (total) => { document.getElementById('total').textContent = total; }];`;

everyEngine('each snippet of README.md and of the manual shows the total', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const inReadme = blocksOf(await read('../../README.md'), 'html');
  const snippets = blocksOf(await read('../../src/manual/pages.md'), 'html').slice(0, -1);
  assert.equal(snippets.length, 4, 'element, module, classic script, jQuery; and at the end the badge');
  assert.deepEqual(inReadme, snippets.slice(0, 2), 'the front page has the first two');
  let profile;
  for (const [index, snippet] of snippets.entries()) {
    const page = await pageWith(t, engine, meter, `
      ${/<b id|<audience-meter/.test(snippet) ? '' : '<b id="total">–</b>'}
      ${snippet.includes('jquery') ? '<script src="/jquery.js"></script>' : ''}
      ${snippet}`, profile);
    profile ??= page;
    await shows(page, '#total, audience-meter', String(index + 1));
    assert.deepEqual(page.complaints, []);
  }
});

everyEngine('the snippet that watches many events shows how many are at each', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE, '--allow-listen');
  const [, snippet] = blocksOf(await read('../../src/manual/pages.md'), 'js');
  const join = (name) => `new EventSource("http://YOUR-SERVER.COM/${name}");`;
  const page = await pageWith(t, engine, meter, `
    <b id="final"></b> <b id="sport-1"></b> <b id="sport-*"></b>
    <script>
      const show = (name, count) => { document.getElementById(name).textContent = count; };
      ${snippet}
      ${join('final')} ${join('sport-1')} ${join('sport-1')}
    </script>`);
  await shows(page, '#final', '1');
  await shows(page, '#sport-1', '2');
  await shows(page, '[id="sport-*"]', '2');
  assert.deepEqual(page.complaints, []);
});

everyEngine('the badge is an image that says the number, and its page is not counted', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE, '--allow-listen');
  const badge = blocksOf(await read('../../src/manual/pages.md'), 'html').at(-1);
  const page = await pageWith(t, engine, meter, `${badge}<b id="size"></b><script>
    const image = document.querySelector('img');
    const show = () => { document.getElementById('size').textContent = image.naturalWidth + ' x ' + image.naturalHeight; };
    if (image.complete) show(); else image.onload = show;
  </script>`);
  await shows(page, '#size', '40 x 20');
  assert.equal(await meter.members('my-event'), 0);
  assert.deepEqual(page.complaints, []);
});

everyEngine('the snippet without our client counts a page once, on the way back too', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const [snippet] = blocksOf(await read('../../src/manual/pages.md'), 'js');
  const page = await pageWith(t, engine, meter, `<b id="total">–</b><script>
    const show = (total) => { document.getElementById('total').textContent = total; };
    ${snippet}
  </script>`);
  await shows(page, '#total', '1');
  await page.evaluate(() => {
    window.left = source;
    dispatchEvent(new Event('pagehide'));
  });
  await until('the page to have left', async () => await meter.members('my-event') === 0);
  await page.evaluate(() => { dispatchEvent(new Event('pageshow')); });
  await until('the page to be back', async () => await meter.members('my-event') === 1);
  // As of WebKit, which opens the source again that was closed.
  const closed = await page.evaluate(() => {
    let closed = 0;
    window.left.close = () => { closed += 1; };
    window.left.onerror();
    window.left.onmessage({ data: '7' });
    source.onerror();
    return closed;
  });
  assert.equal(closed, 2);
  assert.equal(await page.textContent('#total'), '1');
  assert.deepEqual(await meter.stats('my-event'), { members: 1, connections: 2 });
  assert.deepEqual(page.complaints, []);
});

everyEngine('the snippets of client/README.md show the total, and share one stream', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE);
  const [module, react] = blocksOf(await read('../../client/README.md'), 'js');
  const [element, ...rest] = blocksOf(await read('../../client/README.md'), 'html');
  assert.deepEqual(rest, []);
  const imports = {
    'audience-meter': 'http://YOUR-SERVER.COM/client/audience.js',
    react: `data:text/javascript,${encodeURIComponent(REACT)}`,
    hook: `data:text/javascript,${encodeURIComponent(react)}`,
  };
  const importMap = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
  const page = await pageWith(t, engine, meter, `${importMap}
    <b id="total">–</b>
    <script type="module">${module}</script>
    ${element}`);
  await shows(page, '#total', '1');
  await shows(page, 'audience-meter', '1');
  assert.deepEqual(await meter.stats('my-event'), { members: 1, connections: 1 });
  assert.deepEqual(page.complaints, []);
  await page.close();

  const mounted = await pageWith(t, engine, meter, `${importMap}
    <b id="total">–</b>
    <script type="module">import { useAudience } from "hook"; useAudience("http://YOUR-SERVER.COM/my-hook");</script>`);
  await shows(mounted, '#total', '1');
  await mounted.evaluate(() => globalThis.unmount());
  const stays = await pageWith(t, engine, meter, importMap + element.replace('my-event', 'my-hook') +
    '<script type="module">import "audience-meter";</script>');
  await shows(stays, 'audience-meter', '1');
  assert.deepEqual(mounted.complaints, []);
});

test('the snippet of client/README.md for Node.js prints the totals', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const [, , snippet, ...rest] = blocksOf(await read('../../client/README.md'), 'js');
  assert.deepEqual(rest, []);
  const folder = await mkdtemp(join(tmpdir(), 'audience-meter-node-'));
  t.after(() => rm(folder, { recursive: true }));
  const address = meter.url('audience');
  await writeFile(join(folder, 'main.mjs'), snippet
    .replace('"audience-meter"', JSON.stringify(new URL('../../client/audience.js', import.meta.url).href))
    .replace('https://YOUR-SERVER.COM', address));
  await symlink(fileURLToPath(new URL('node_modules', import.meta.url)), join(folder, 'node_modules'));
  // Node.js 18 has it behind a flag.
  const flags = globalThis.CustomEvent ? [] : ['--experimental-global-customevent'];
  const child = spawn(process.execPath, [...flags, 'main.mjs'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, '1');
});

function read(name) {
  return readFile(new URL(name, import.meta.url), 'utf8');
}

/** The fenced blocks of a language. */
function blocksOf(markdown, language) {
  return [...markdown.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter(([, one]) => one === language).map(([, , text]) => text);
}

async function pageWith(t, engine, meter, html, profile) {
  const site = await serve(t, {
    '/jquery.js': JQUERY['4.0.0'],
    '/': `<!doctype html><meta charset="utf-8">${html.replaceAll(/https?:\/\/YOUR-SERVER\.COM/g, meter.url('audience'))}`,
  });
  const page = await engine.openPage(t, { profile });
  await page.goto(site.url('/'));
  return page;
}
