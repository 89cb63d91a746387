// names.test.mjs: no name that the daemon serves or the package has is on a list of trackers, as uBlock Origin applies
// them by default. The engine is uBlock Origin's, the lists are those that its Debian package brings. No browser is needed.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { StaticNetFilteringEngine } from '@gorhill/ubo-core';
import { CLIENT } from './build.mjs';

const LISTS = new URL('.lists/usr/share/chromium/extensions/ublock-origin/assets/', import.meta.url);
const NAMES = ['thirdparties/easylist/easylist.txt', 'thirdparties/easylist/easyprivacy.txt', 'ublock/filters.min.txt', 'ublock/privacy.min.txt'];

const PAGES = ['http://meter.example/', 'https://meter.example/', 'http://www.page.example/', 'https://www.page.example/'];
const DAEMONS = ['http://meter.example', 'https://meter.example', 'http://meter.example:8000'];
const REGISTRIES = ['https://unpkg.com/', 'https://cdn.jsdelivr.net/npm/', 'https://esm.sh/'];

/** Served for old pages, by the name that they have. */
const BLOCKED = 'audience.min.js';

let engine;
before(async () => {
  engine = await StaticNetFilteringEngine.create();
  await engine.useLists(await Promise.all(NAMES.map(async (name) => ({ name, raw: await readFile(new URL(name, LISTS), 'utf8') }))));
});

test('no script of the daemon is blocked', () => {
  for (const name of ['audience.js', 'element.js', 'viewers.min.js', 'jquery.audience.js']) {
    for (const daemon of DAEMONS) {
      for (const tag of ['', '?v=220704bb91410000']) assert.deepEqual(rulesOf(`${daemon}/client/${name}${tag}`, 'script'), []);
    }
  }
  assert.deepEqual(rulesOf(`${DAEMONS[0]}/client/${BLOCKED}`, 'script'), ['/audience.min.js'], 'the judge does not judge');
});

test('no file of the package is blocked', async () => {
  const { name, version, files } = JSON.parse(await readFile(new URL('package.json', CLIENT), 'utf8'));
  for (const file of ['', ...files.filter((file) => file !== BLOCKED).map((file) => `/${file}`)]) {
    for (const registry of REGISTRIES) {
      for (const tag of ['', `@${version}`]) assert.deepEqual(rulesOf(`${registry}${name}${tag}${file}`, 'script'), []);
    }
    assert.deepEqual(rulesOf(`https://www.page.example/node_modules/${name}${file}`, 'script'), []);
  }
});

test('no way to join or to leave is blocked', () => {
  for (const daemon of DAEMONS) {
    for (const path of ['/my-event', '/my-event/3f2b9c', '/?watch=final,sport-*']) {
      for (const type of ['xmlhttprequest', 'fetch', 'other']) assert.deepEqual(rulesOf(daemon + path, type), []);
    }
  }
});

/** The rules that block it for any page. */
function rulesOf(url, type) {
  const rules = PAGES.filter((originURL) => engine.matchRequest({ originURL, url, type }) === 1)
    .map(() => engine.toLogData().raw);
  return [...new Set(rules)];
}
