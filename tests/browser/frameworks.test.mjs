// frameworks.test.mjs: the recipes of client/README.md for frameworks, built with the frameworks as they stand there.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ENGINES, everyEngine } from './engines.mjs';
import { ALONE, Meter, serve, shows, until } from './harness.mjs';
import { bundle } from './recipes.mjs';

/** How each framework shows the recipe: the name of the recipe's file, and a page's script, which is given its `id`. */
const FRAMEWORKS = {
  React: ['jsx', `
    import { StrictMode, createElement } from 'react';
    import { createRoot } from 'react-dom/client';
    import Viewers from 'RECIPE';
    createRoot(document.getElementById('root')).render(createElement(StrictMode, null, createElement(Viewers, { id: 'test' })));`],
  Preact: ['jsx', `
    import { createElement, render } from 'react';
    import Viewers from 'RECIPE';
    render(createElement(Viewers, { id: 'test' }), document.getElementById('root'));`],
  Vue: ['vue', `
    import { createApp } from 'vue';
    import Viewers from 'RECIPE';
    createApp(Viewers, { id: 'test' }).mount('#root');`],
  Svelte: ['svelte', `
    import { mount } from 'svelte';
    import Viewers from 'RECIPE';
    mount(Viewers, { target: document.getElementById('root'), props: { id: 'test' } });`],
  Angular: ['ts', `
    import '@angular/compiler';
    import { provideZonelessChangeDetection } from '@angular/core';
    import { bootstrapApplication } from '@angular/platform-browser';
    import { Viewers } from 'RECIPE';
    document.getElementById('root').append(document.createElement('app-viewers'));
    bootstrapApplication(Viewers, { providers: [provideZonelessChangeDetection()] })
      .then((app) => app.components[0].setInput('id', 'test'));`],
};

/** Each framework in Chromium, and in one more engine at least. */
const TRIED_IN = {
  React: ENGINES, Preact: ['chromium', 'firefox'], Vue: ['chromium', 'firefox'], Svelte: ['chromium', 'webkit'], Angular: ['chromium', 'webkit'],
};

const PREACT = { react: 'preact/compat', 'react-dom': 'preact/compat', 'react/jsx-runtime': 'preact/jsx-runtime' };

const HYDRATE = `
  import { createElement } from 'react';
  import { hydrateRoot } from 'react-dom/client';
  import Viewers from 'RECIPE';
  const root = document.getElementById('root');
  window.element = root.firstChild;
  window.hydrated = [];
  const wait = () => (window.element.audience?.total ? hydrateRoot(root, createElement(Viewers, { id: 'test' }), {
    onRecoverableError: (error) => window.hydrated.push(String(error)),
  }) && setTimeout(() => { window.done = true; }, 100) : setTimeout(wait, 20));
  wait();`;

describe('recipes of client/README.md', { concurrency: 2 }, () => {
  for (const [name, [language, script]] of Object.entries(FRAMEWORKS)) {
    everyEngine(`${name}: two people are two`, async (t, engine) => {
      const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
      const text = await bundle(t, meter, language, script, name === 'Preact' ? { alias: PREACT } : {});
      const site = await serve(t, { '/': `<!doctype html><meta charset="utf-8"><div id="root"></div><script type="module">${text}</script>` });
      const pages = [await engine.openPage(t), await engine.openPage(t)];
      for (const page of pages) await page.goto(site.url('/'));
      for (const page of pages) await shows(page, 'audience-meter', '2');
      for (const page of pages) {
        assert.deepEqual(page.complaints, []);
        const seen = await page.evaluate(() => {
          const element = document.querySelector('audience-meter');
          return [element.shared, element.uuid, element.textContent];
        });
        assert.deepEqual(seen, [true, true, '–']);
      }
      assert.equal(await meter.members('test'), 2);
    }, TRIED_IN[name]);
  }

  everyEngine('Next.js: what the server renders is kept, though a count comes before React', async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const server = await bundle(t, meter, 'jsx', `
      import { createElement } from 'react';
      import { renderToString } from 'react-dom/server';
      import Viewers from 'RECIPE';
      console.log(renderToString(createElement(Viewers, { id: 'test' })));`, { platform: 'node', format: 'cjs' });
    const rendered = [];
    new Function('console', 'require', 'module', 'exports', server)(
      { ...console, log: (html) => rendered.push(html) }, process.getBuiltinModule('module').createRequire(import.meta.url), {}, {});
    assert.match(rendered[0], /^<audience-meter src="http:\/\/127[^"]*\/test" shared="" uuid="">–<\/audience-meter>$/);
    const script = await bundle(t, meter, 'jsx', HYDRATE);
    const site = await serve(t, {
      '/': `<!doctype html><meta charset="utf-8"><div id="root">${rendered[0]}</div><script type="module">${script}</script>`,
    });
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    await until('React to have taken it over', () => page.evaluate(() => window.done === true));
    assert.deepEqual(await page.evaluate(() => [window.hydrated, window.element.isConnected]), [[], true]);
    await shows(page, 'audience-meter', '1');
    assert.deepEqual(page.complaints, []);
  });
});
