// recipes.test.mjs: React 18 and lit with the element, in three engines, and what the type checkers of Vue and Svelte say of the
// recipes of client/README.md.
//
// Next.js itself is not installed: it is 340 MB with its compiler. What it does with a component, render it on a server and
// hydrate it, frameworks.test.mjs does with React, and this with React 18.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { everyEngine } from './engines.mjs';
import { ALONE, Meter, serve, shows, until } from './harness.mjs';
import { bundle, bundleOf, folderBeside, recipeOf } from './recipes.mjs';

const run = promisify(execFile);

const REACT_18 = { alias: { react: 'react18', 'react-dom': 'react-dom18' } };

/** A child that comes and goes is what a framework owns. */
const BUSY = {
  jsx: `import { useEffect, useState } from 'react';
    import 'audience-meter/element.js';
    export default function Viewers({ src }) {
      const [seen, setSeen] = useState(false);
      useEffect(() => { window.toggle = () => setSeen((before) => !before); }, []);
      return <audience-meter src={src} shared={false} uuid={true}>{seen ? <i>seen</i> : null}–{seen && <b>!</b>}</audience-meter>;
    }`,
  ts: `import { LitElement, html } from 'lit';
    import 'audience-meter/element.js';
    customElements.define('app-viewers', class extends LitElement {
      static properties = { src: {}, seen: { type: Boolean }, counted: { type: Number } };
      constructor() {
        super();
        window.toggle = () => { this.seen = !this.seen; };
      }
      createRenderRoot() { return this; }
      render() {
        return html\`<audience-meter .src=\${this.src} ?shared=\${false} .uuid=\${true} @count=\${({ detail }) => { this.counted = detail; }}>\${
          this.seen ? html\`<i>seen</i>\` : ''}–\${this.seen ? html\`<b>!</b>\` : ''}</audience-meter><u>\${this.counted}</u>\`;
      }
    });`,
};

const MOUNT = {
  'React 18': ['jsx', `
    import { StrictMode, createElement } from 'react';
    import { createRoot } from 'react-dom/client';
    import Viewers from 'RECIPE';
    createRoot(document.getElementById('root')).render(createElement(StrictMode, null, createElement(Viewers, PROPS)));`],
  lit: ['ts', `
    import 'RECIPE';
    document.getElementById('root').append(Object.assign(document.createElement('app-viewers'), PROPS));`],
};

everyEngine('React 18: two people are two with the recipe, under StrictMode', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
  const [language, script] = MOUNT['React 18'];
  const text = await bundle(t, meter, language, script.replace('PROPS', "{ id: 'test' }"), REACT_18);
  const [first, second] = [await showing(t, engine, text), await showing(t, engine, text)];
  for (const page of [first, second]) {
    await shows(page, 'audience-meter', '2');
    assert.equal(await page.evaluate(() => document.querySelector('audience-meter').getAttribute('uuid')), 'true', 'as React 18 writes it');
    assert.deepEqual(page.complaints, []);
  }
  assert.deepEqual(await meter.stats('test'), { members: 2, connections: 2 });
});

for (const [name, [language, script]] of Object.entries(MOUNT)) {
  everyEngine(`${name}: children come and go as it wants, while a count is shown`, async (t, engine) => {
    const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
    const text = await bundleOf(t, language, BUSY[language], script.replace('PROPS', `{ src: '${meter.url('audience', '/test')}' }`),
      name === 'lit' ? {} : REACT_18);
    const page = await showing(t, engine, text);
    await shows(page, 'audience-meter', '1');
    for (const content of ['seen–!', '–', 'seen–!']) {
      await page.evaluate(() => window.toggle());
      await until(`the children ${content}`, async () => await page.text('audience-meter') === content);
    }
    await shows(page, 'audience-meter', '1');
    const seen = await page.evaluate(() => {
      const { src, shared, uuid } = document.querySelector('audience-meter');
      return [src, shared, uuid];
    });
    assert.deepEqual(seen, [meter.url('audience', '/test'), false, true]);
    if (name === 'lit') await until('the event', async () => await page.text('u') === '1');
    assert.deepEqual(await meter.stats('test'), { members: 1, connections: 1 });
    assert.deepEqual(page.complaints, []);
  });
}

everyEngine('React 18: what the server renders is kept, though a count comes before it', async (t, engine) => {
  const meter = await Meter.start(t, ...ALONE, '--enable-uuid');
  const server = await bundle(t, meter, 'jsx', `
    import { createElement } from 'react';
    import { renderToString } from 'react-dom/server';
    import Viewers from 'RECIPE';
    module.exports = renderToString(createElement(Viewers, { id: 'test' }));`, { ...REACT_18, platform: 'node', format: 'cjs' });
  const module = { exports: {} };
  new Function('module', 'require', server)(module, createRequire(import.meta.url));
  assert.match(module.exports, /^<audience-meter src="http:\/\/127[^"]*\/test" shared="true" uuid="true">–<\/audience-meter>$/);
  const text = await bundle(t, meter, 'jsx', `
    import { createElement } from 'react';
    import { hydrateRoot } from 'react-dom/client';
    import Viewers from 'RECIPE';
    const root = document.getElementById('root');
    window.element = root.firstChild;
    window.faults = [];
    window.element.addEventListener('count', () => {
      hydrateRoot(root, createElement(Viewers, { id: 'test' }), { onRecoverableError: (error) => window.faults.push(String(error)) });
      setTimeout(() => { window.done = true; }, 200);
    }, { once: true });`, REACT_18);
  const page = await showing(t, engine, text, module.exports);
  await until('React', () => page.evaluate(() => window.done === true));
  assert.deepEqual(await page.evaluate(() => [window.faults, window.element.isConnected]), [[], true]);
  await shows(page, 'audience-meter', '1');
  assert.deepEqual(page.complaints, []);
});

/** How a checker of templates is run in a folder, and how a file of its language names the package's types. */
const CHECKERS = {
  vue: ['vue-tsc/bin/vue-tsc.js', ['--noEmit', '-p', 'tsconfig.json'], '<script setup lang="ts">\nimport type {} from "audience-meter/vue";'],
  svelte: ['svelte-check/bin/svelte-check', ['--tsconfig', 'tsconfig.json', '--fail-on-warnings', '--output', 'machine'],
    '<script lang="ts">\n  import type {} from "audience-meter/svelte";'],
};

for (const [language, [program, options, opening]] of Object.entries(CHECKERS)) {
  test(`the recipe for ${language} has the types that its checker asks for, and a wrong one is found`, { timeout: 180_000 }, async (t) => {
    const folder = await folderBeside(t, '.');
    const recipe = (await recipeOf(language, 'http://server')).replace(/<script[^>]*>/, opening)
      .replace('let { id } = $props()', 'let { id }: { id: string } = $props()');
    const config = {
      compilerOptions: {
        strict: true, noEmit: true, module: 'ESNext', moduleResolution: 'bundler', target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: [],
        skipLibCheck: true, jsx: 'preserve', verbatimModuleSyntax: true, preserveSymlinks: true,
      },
      include: ['*.vue', '*.svelte'],
      vueCompilerOptions: { strictTemplates: true },
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    await writeFile(join(folder, `Viewers.${language}`), recipe);
    await writeFile(join(folder, `Wrong.${language}`), recipe.replace(/src=("`.*?`"|\{`.*?`\})/, language === 'vue' ? 'src="7"' : 'src={7}'));
    const bin = fileURLToPath(new URL(`node_modules/${program}`, import.meta.url));
    const said = await run(process.execPath, [bin, ...options], { cwd: folder }).then(({ stdout }) => stdout, ({ stdout, stderr }) => stdout + stderr);
    assert.match(said, /Wrong\.\w+.*number'? is not assignable/, said);
    assert.doesNotMatch(said, /Viewers\.\w+/, said);
  });
}

/** A page with this script, and what is in its root before. */
async function showing(t, engine, script, html = '') {
  const site = await serve(t, { '/': `<!doctype html><meta charset="utf-8"><div id="root">${html}</div><script type="module">${script}</script>` });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  return page;
}
