// readme.test.mjs: what README.md, the manual and client/README.md tell a page to hold, as it stands there, in a real browser.
// Only the address of the server is put in its place, and around it what the text takes for granted.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ALONE, JQUERY, Meter, launch, openPage, serve, shows } from './harness.mjs';

/** As much of React as a hook needs that joins once. */
const REACT = `
  export const useEffect = (effect) => { globalThis.unmount = effect(); };
  export const useState = () => [null, (total) => { document.getElementById('total').textContent = total; }];`;

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

test('each snippet of README.md and of the manual shows the total', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const inReadme = blocksOf(await read('../../README.md'), 'html');
  const snippets = blocksOf(await read('../../src/manual/pages.md'), 'html');
  assert.equal(snippets.length, 4, 'element, module, classic script, jQuery');
  assert.deepEqual(inReadme, snippets.slice(0, 2), 'the front page has the first two');
  for (const [index, snippet] of snippets.entries()) {
    const page = await pageWith(t, meter, `
      ${/<b id|<audience-meter/.test(snippet) ? '' : '<b id="total">–</b>'}
      ${snippet.includes('jquery') ? '<script src="/jquery.js"></script>' : ''}
      ${snippet}`);
    await shows(page, '#total, audience-meter', String(index + 1));
    assert.deepEqual(page.complaints, []);
  }
});

test('the snippet that watches many events shows how many are at each', async (t) => {
  const meter = await Meter.start(t, ...ALONE, '--allow-listen');
  const [snippet] = blocksOf(await read('../../src/manual/pages.md'), 'js');
  const join = (name) => `new EventSource("http://YOUR-SERVER.COM/${name}");`;
  const page = await pageWith(t, meter, `
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

test('the snippets of client/README.md show the total, and share one stream', async (t) => {
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
  const page = await pageWith(t, meter, `${importMap}
    <b id="total">–</b>
    <script type="module">${module}</script>
    ${element}`);
  await shows(page, '#total', '1');
  await shows(page, 'audience-meter', '1');
  assert.deepEqual(await meter.stats('my-event'), { members: 1, connections: 1 });
  assert.deepEqual(page.complaints, []);
  await page.close();

  const mounted = await pageWith(t, meter, `${importMap}
    <b id="total">–</b>
    <script type="module">import { useAudience } from "hook"; useAudience("http://YOUR-SERVER.COM/my-hook");</script>`);
  await shows(mounted, '#total', '1');
  await mounted.evaluate(() => globalThis.unmount());
  const stays = await pageWith(t, meter, importMap + element.replace('my-event', 'my-hook') +
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

async function pageWith(t, meter, html) {
  const site = await serve(t, {
    '/jquery.js': JQUERY['4.0.0'],
    '/': `<!doctype html>${html.replaceAll(/https?:\/\/YOUR-SERVER\.COM/g, meter.url('audience'))}`,
  });
  const page = await openPage(t, browser);
  await page.goto(site.url('/'));
  return page;
}
