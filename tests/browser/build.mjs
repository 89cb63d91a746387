// build.mjs: makes the classic scripts of client/ out of the module and client/classic/, in a syntax that IE 10 reads; the
// dashboard, one page, out of client/dashboard/, with the policy that it is sent with; and all that is part of the daemon,
// gzipped as small as Zopfli can, in client/embedded/.
//
//     npm run build --prefix tests/browser
//
// esbuild puts the files of the core together, with the stand-ins for what old browsers lack; swc translates it, and what
// each script does with it, into ES5 and minifies them. What is made is committed, and package.test.mjs fails when it is not what would be made now.

import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { readFile, writeFile } from 'node:fs/promises';
import zopfli from '@gfx/zopfli';
import swc from '@swc/core';
import esbuild from 'esbuild';

export const CLIENT = new URL('../../client/', import.meta.url);

const SOURCES = { 'audience.min.js': 'classic/audience.js', 'jquery.audience.js': 'classic/jquery.js' };

const BANNER = '/* Audience Meter, MIT license. Made from client/ by tests/browser/build.mjs */\n';

const MODULE_BANNER = '/* Audience Meter, MIT license. Made from client/ by tests/browser/build.mjs */\n';

/** Files that are part of the daemon as they are. */
const EMBEDDED = ['demo.html', 'grafana.json', 'welcome.html'];

/** The text of all that is made, by the name of its file. */
export async function build() {
  const [scripts, embedded] = await Promise.all([
    Promise.all(Object.entries(SOURCES).map(async ([name, source]) => [name, await classic(source)])),
    Promise.all(EMBEDDED.map(async (name) => [name, await readFile(path(name), 'utf8')])),
  ]);
  const page = await dashboard();
  embedded.push(...scripts, ['audience.js', MODULE_BANNER + await minifiedModule('served/audience.js')], ['dashboard.html', page]);
  // Lists of trackers block the name `audience.min.js`, which pages of before still load. The other name is on none.
  scripts.push(['viewers.min.js', Object.fromEntries(scripts)['audience.min.js']]);
  // In a package of modules, this is the name of what a loader is to take for a CommonJS module.
  scripts.push(['jquery.audience.cjs', Object.fromEntries(scripts)['jquery.audience.js']]);
  const policy = ['embedded/dashboard.csp', policyOf(page)];
  return Object.fromEntries([...scripts, policy, ...embedded.map(([name, text]) => [`embedded/${name}.gz`, text])]);
}

/** The Content Security Policy of a page that asks the port that it comes from, and nothing else, with its own style and script. */
function policyOf(page) {
  const hash = (element) => {
    const [, text] = new RegExp(`<${element}\\b[^>]*>([^]*?)</${element}>`).exec(page);
    return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  };
  return `default-src 'none'; style-src ${hash('style')}; script-src ${hash('script')}; connect-src 'self'; `
    + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

/** The page with its style and its scripts in it, of the syntax of the browsers that know `light-dark()`. */
export async function dashboard() {
  const [style, script] = await Promise.all(['style.css', 'main.js'].map(async (name) => {
    const { outputFiles } = await esbuild.build({
      entryPoints: [path(`dashboard/${name}`)], bundle: true, format: 'esm', target: 'esnext', minify: true, write: false,
      ignoreAnnotations: true, // which files of the package have side effects is no word on those that are not part of it
    });
    return outputFiles[0].text.trim();
  }));
  const skeleton = await readFile(path('dashboard/index.html'), 'utf8');
  return skeleton.replace(/<!--[^]*?-->\n/g, '').replace(/\n\s+/g, '\n')
    .replace('<link rel="stylesheet" href="style.css">', () => `<style>${style}</style>`)
    .replace(' src="main.js">', () => `>${script.replaceAll('</script', '<\\/script')}`);
}

/** A module with all that it imports, as a page's own bundler would minify it. */
export async function minifiedModule(name) {
  const { outputFiles } = await esbuild.build({
    entryPoints: [path(name)], bundle: true, format: 'esm', target: 'es2022', minify: true, write: false,
  });
  return outputFiles[0].text;
}

/** A script of this source. The core comes last, and is the same text in all of them. */
async function classic(source) {
  const [start, core] = await Promise.all([
    part(source, { external: ['./core.js'] }, (text) => `(function (core) {'use strict';${withRequire(text)}}(CORE));`),
    part('classic/core.js', { inject: [path('classic/old-browsers.js')] }, (text) => `CORE(function () {'use strict';${text}}());`),
  ]);
  return `${BANNER}${start.replace('(CORE)', () => core.replace(/^CORE|;$/g, ''))}\n`;
}

/** What a file says, in ES5 and minified, in the function that `wrap` makes of it. */
async function part(source, options, wrap) {
  const { outputFiles } = await esbuild.build({
    entryPoints: [path(source)],
    bundle: true,
    format: 'esm',
    target: 'esnext',
    define: { globalThis: 'self' },
    logOverride: { 'commonjs-variable-in-esm': 'silent' }, // the plugin asks which loader there is
    write: false,
    ...options,
  });
  const translated = await swc.transform(withoutPrivateNames(outputFiles[0].text), {
    configFile: false,
    swcrc: false,
    jsc: {
      target: 'es5',
      assumptions: { setPublicClassFields: true, noClassCalls: true, iterableIsArray: true, noDocumentAll: true },
    },
  });
  const text = translated.code
    .replace(/^import \{(.*)\} from .*;$/m, (_, names) => `var ${each(names, (name) => `${name} = core.${name}`)};`)
    .replace(/^export \{(.*)\};$/m, (_, names) => `return {${each(names, (name) => `${name}: ${name}`)}};`);
  // In a function, so that nothing becomes a name of the page's, the translator's helpers neither.
  const { code } = await swc.minify(wrap(text), {
    compress: true, mangle: true, ecma: 5, module: false, format: { comments: false },
  });
  return code;
}

const each = (names, form) => names.split(',').map((name) => form(name.trim())).join();

/**
 * Private names become short ones that are told apart by the class that they stand in, since IE 10 has no WeakMap; what
 * the translator makes of them looks at each use whether the name is there, and is a third of the script.
 */
function withoutPrivateNames(text) {
  const names = new Map();
  let classes = 0;
  return text.replace(/\bclass\b|#([a-z]\w*)/g, (found, name) => {
    if (!name) {
      classes += 1;
      return found;
    }
    const key = `${classes} ${name}`;
    if (!names.has(key)) names.set(key, `_${names.size.toString(36)}`);
    return names.get(key);
  });
}

/** A loader has to find `require('jquery')` in the script, and the builder of the script must not. */
function withRequire(text) {
  return text.replace('REQUIRE(', 'require(');
}

function path(name) {
  return fileURLToPath(new URL(name, CLIENT));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, text] of Object.entries(await build())) {
    const body = name.endsWith('.gz') ? await zopfli.gzipAsync(Buffer.from(text), {}) : text;
    await writeFile(new URL(name, CLIENT), body);
  }
}
