// readme.test.mjs: what README.md and client/README.md tell a page to hold, as it stands there, in a real browser. Only
// the address of the server is put in its place, and around it what the text takes for granted.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { ALONE, JQUERY, Meter, launch, openPage, serve, shows } from './harness.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

test('each snippet of README.md shows the total', async (t) => {
  const meter = await Meter.start(t, ...ALONE);
  const [section] = /\n## In a page\n[^]*?\n## /.exec(await read('../../README.md'));
  const snippets = blocksOf(section).filter((block) => block.includes('<script'));
  assert.equal(snippets.length, 4, 'element, module, classic script, jQuery');
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
  const [, snippet] = /\n```js\n([^]*?)```\n/.exec(await read('../../README.md'));
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
  const [module, element, ...rest] = blocksOf(await read('../../client/README.md'));
  assert.deepEqual(rest, []);
  const page = await pageWith(t, meter, `
    <script type="importmap">{ "imports": { "audience-meter": "http://YOUR-SERVER.COM/client/audience.js" } }</script>
    <b id="total">–</b>
    <script type="module">${module}</script>
    ${element}`);
  await shows(page, '#total', '1');
  await shows(page, 'audience-meter', '1');
  assert.deepEqual(await meter.stats('my-event'), { members: 1, connections: 1 });
  assert.deepEqual(page.complaints, []);
});

function read(name) {
  return readFile(new URL(name, import.meta.url), 'utf8');
}

/** What is indented by four, without that. */
function blocksOf(markdown) {
  const blocks = markdown.match(/(?<=\n\n)(?: {4}.*\n+)+/g) ?? [];
  return blocks.map((block) => block.replace(/^ {4}/gm, ''));
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
