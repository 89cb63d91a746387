// build.mjs: makes the classic scripts of client/ out of the module and client/classic/, in a syntax that IE 10 reads, and
// the dashboard, one page, out of client/dashboard/.
//
//     npm run build --prefix tests/browser
//
// esbuild puts the files of each together, with the stand-ins for what old browsers lack; swc translates the whole into
// ES5 and minifies it. What is made is committed, and package.test.mjs fails when it is not what would be made now.

import { fileURLToPath } from 'node:url';
import { readFile, writeFile } from 'node:fs/promises';
import swc from '@swc/core';
import esbuild from 'esbuild';

export const CLIENT = new URL('../../client/', import.meta.url);

const SOURCES = { 'audience.min.js': 'classic/audience.js', 'jquery.audience.js': 'classic/jquery.js' };

const BANNER = '/* Audience Meter, MIT license. Made from client/audience.js and client/classic/ by tests/browser/build.mjs */\n';

/** The text of all that is made, by its name. */
export async function build() {
  const made = Object.entries(SOURCES).map(async ([name, source]) => [name, await classic(source)]);
  return Object.fromEntries(await Promise.all([...made, ['dashboard.html', await dashboard()]]));
}

/** The page with its style and its scripts in it, of the syntax of the browsers that know `light-dark()`. */
export async function dashboard() {
  const [style, script] = await Promise.all(['style.css', 'main.js'].map(async (name) => {
    const { outputFiles } = await esbuild.build({
      entryPoints: [path(`dashboard/${name}`)], bundle: true, format: 'esm', target: 'esnext', minify: true, write: false,
    });
    return outputFiles[0].text.trim();
  }));
  const skeleton = await readFile(path('dashboard/index.html'), 'utf8');
  return skeleton.replace(/<!--[^]*?-->\n/g, '').replace(/\n\s+/g, '\n')
    .replace('<link rel="stylesheet" href="style.css">', () => `<style>${style}</style>`)
    .replace(' src="main.js">', () => `>${script.replaceAll('</script', '<\\/script')}`);
}

/** The module as a page's own bundler would minify it. */
export async function minifiedModule() {
  const { outputFiles } = await esbuild.build({ entryPoints: [path('audience.js')], minify: true, write: false });
  return outputFiles[0].text;
}

async function classic(source) {
  const { outputFiles } = await esbuild.build({
    entryPoints: [path(source)],
    bundle: true,
    format: 'esm',
    target: 'esnext',
    inject: [path('classic/old-browsers.js')],
    define: { globalThis: 'self' },
    write: false,
  });
  const translated = await swc.transform(outputFiles[0].text, {
    configFile: false,
    swcrc: false,
    jsc: {
      target: 'es5',
      // A private field becomes a property with a name of its own, since IE 10 has no WeakMap.
      assumptions: { privateFieldsAsProperties: true, setPublicClassFields: true, iterableIsArray: true, noDocumentAll: true },
    },
  });
  // In a function, so that nothing becomes a name of the page's, the translator's helpers neither.
  const { code } = await swc.minify(`(function () {'use strict';${translated.code}}());`, {
    compress: true, mangle: true, ecma: 5, module: false, format: { comments: false },
  });
  return `${BANNER}${code}\n`;
}

function path(name) {
  return fileURLToPath(new URL(name, CLIENT));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, text] of Object.entries(await build())) await writeFile(new URL(name, CLIENT), text);
}
