// package.test.mjs: what is shipped of client/: the size of the module, the scripts that are made out of it, the types,
// and the package for the npm registry. No browser is needed.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { parse } from 'acorn';
import esbuild from 'esbuild';
import ts from 'typescript';
import { CLIENT, build, minifiedModule } from './build.mjs';

const run = promisify(execFile);
const read = (name, base = CLIENT) => readFile(new URL(name, base), 'utf8');
const unpack = async (name) => gunzipSync(await readFile(new URL(name, CLIENT))).toString();

test('the module is under 4 kB, minified and gzipped, and imports nothing', async () => {
  const minified = await minifiedModule('audience.js');
  const size = gzipSync(minified, { level: 9 }).length;
  assert.ok(size < 4_000, `${size} bytes`);
  const { body } = parse(await read('audience.js'), { ecmaVersion: 'latest', sourceType: 'module' });
  assert.deepEqual(body.filter(({ type }) => type.startsWith('Import')), []);
  assert.doesNotMatch(minified, /\bimport\s*\(|\brequire\s*\(/);
});

test('the module does nothing on import, and the element needs no browser to be imported', async () => {
  const before = Object.getOwnPropertySymbols(globalThis).concat(Object.keys(globalThis));
  const { audience } = await import(new URL('audience.js', CLIENT));
  const { AudienceMeterElement } = await import(new URL('element.js', CLIENT));
  assert.deepEqual(Object.getOwnPropertySymbols(globalThis).concat(Object.keys(globalThis)), before);
  assert.deepEqual([typeof audience, typeof AudienceMeterElement], ['function', 'function']);
  const unused = await esbuild.build({
    stdin: { contents: "import './audience.js';", resolveDir: fileURLToPath(CLIENT) }, bundle: true, format: 'esm', write: false,
  });
  assert.doesNotMatch(unused.outputFiles[0].text, /class|function|customElements/);
});

test('what is made is what would be made now', async () => {
  const made = await build();
  assert.deepEqual((await readdir(new URL('embedded/', CLIENT))).sort(), Object.keys(made)
    .filter((name) => name.startsWith('embedded/')).map((name) => name.slice('embedded/'.length)).sort());
  for (const [name, text] of Object.entries(made)) {
    const now = name.endsWith('.gz') ? await unpack(name) : await read(name);
    assert.ok(text === now, `client/${name} is out of date: npm run build --prefix tests/browser`);
  }
});

test('the classic scripts are in ES5', async () => {
  for (const name of ['audience.min.js', 'jquery.audience.js']) {
    const text = await read(name);
    const { body } = parse(text, { ecmaVersion: 5 });
    assert.deepEqual(body.map(({ type }) => type), ['ExpressionStatement'], `${name} puts names into the page`);
  }
  assert.throws(() => parse('const a = 1', { ecmaVersion: 5 }), 'the judge does not judge');
});

test('the dashboard is one small file, which loads nothing and has no code in its attributes', async () => {
  const { size } = await stat(new URL('embedded/dashboard.html.gz', CLIENT));
  const text = await unpack('embedded/dashboard.html.gz');
  assert.ok(text.length < 60_000 && size < 20_000, `${text.length} bytes, ${size} when gzipped`);
  const [, skeleton] = /^([^]*)<script type="module">[^]*<\/script>\n<\/body>\n<\/html>\n$/.exec(text);
  assert.doesNotMatch(skeleton, /\s(on\w+|style|src|srcset)=/);
  assert.deepEqual(skeleton.match(/\shref="[^/"][^"]{0,20}/g), [' href="data:image/svg+xml,%3'], 'a link leads elsewhere');
  assert.doesNotMatch(text, /\burl\((?!#)|@import|\bimport\b|\beval\b|innerHTML|insertAdjacentHTML/);
  const addresses = new Set(text.match(/\bhttps?:\/\/[^"'`$ ]*/g));
  // Names of a format, and the way to join that is shown.
  assert.deepEqual([...addresses].sort(), ['http://', 'http://www.w3.org/2000/svg']);
});

test('of what is newer than ES5 the classic scripts use only what they do without', () => {
  const program = ts.createProgram(['audience.min.js', 'jquery.audience.js'].map((name) => fileURLToPath(new URL(name, CLIENT))), {
    allowJs: true, checkJs: true, noEmit: true, skipDefaultLibCheck: true, types: [], lib: ['lib.es5.d.ts', 'lib.dom.d.ts'],
  });
  const newer = ts.getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
    .filter((text) => /target library/.test(text))
    .map((text) => /'(\w+)'/.exec(text)[1]);
  // All of them are taken away from the browser of old.test.mjs.
  assert.deepEqual([...new Set(newer)].sort(), [
    'Promise', 'Reflect', 'Symbol', 'from', 'setPrototypeOf',
  ]);
});

const WEB = ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts', 'lib.dom.asynciterable.d.ts'];
const WAYS = {
  bundler: { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler },
  NodeNext: { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
};

for (const [way, options] of Object.entries(WAYS)) {
  const faults = (name, more) => {
    const program = ts.createProgram([fileURLToPath(new URL(name, import.meta.url))], {
      strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipDefaultLibCheck: true, esModuleInterop: true, types: [],
      preserveSymlinks: true,
      target: ts.ScriptTarget.ES2022, ...options, ...more,
    });
    return ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
      getCanonicalFileName: (name) => name, getCurrentDirectory: () => '', getNewLine: () => '\n',
    });
  };

  test(`the types fit a page that uses all of them, and React's, ${way}`, async () => {
    assert.equal(faults('api.ts', { lib: WEB, skipLibCheck: true }), '');
    assert.equal(faults('api-react.tsx', { lib: WEB, jsx: ts.JsxEmit.ReactJSX, skipLibCheck: true }), '');
  });

  test(`the types need none of a browser, ${way}`, () => {
    assert.equal(faults('api-bare.ts', { lib: ['lib.es2022.d.ts'] }), '');
  });
}

test('those that judge packages find nothing', { timeout: 120_000 }, async (t) => {
  const bin = (name) => fileURLToPath(new URL(`node_modules/.bin/${name}`, import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), 'audience-meter-pack-'));
  t.after(() => rm(folder, { recursive: true }));
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: fileURLToPath(CLIENT) });
  const [packed] = await readdir(folder);
  await run(bin('publint'), ['--strict', '--pack', 'npm', fileURLToPath(CLIENT)]);
  // It is a package of modules, for what reads `exports`; to `require` it, Node.js 22 is needed.
  // The plugin's export is jQuery itself, whose methods the types know and no loader can name.
  await run(bin('attw'), [join(folder, packed), '--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm', 'named-exports']);
});

test('it could be published for Deno', { timeout: 120_000 }, async () => {
  const manifest = JSON.parse(await read('package.json'));
  const jsr = JSON.parse(await read('jsr.json'));
  assert.deepEqual([jsr.version, jsr.license], [manifest.version, manifest.license]);
  const deno = fileURLToPath(new URL('node_modules/deno/bin.cjs', import.meta.url));
  await run(process.execPath, [deno, 'publish', '--dry-run', '--allow-dirty'], { cwd: fileURLToPath(CLIENT) });
});

test('custom-elements.json says what the element has', async () => {
  const { modules: [{ declarations: [described] }] } = JSON.parse(await read('custom-elements.json'));
  const { AudienceMeterElement } = await import(new URL('element.js', CLIENT));
  const attributes = described.attributes.filter(({ fieldName }) => fieldName);
  assert.deepEqual(attributes.map(({ name }) => name), AudienceMeterElement.observedAttributes
    .filter((name) => !['pausewhenhidden', 'state'].includes(name)));
  for (const { fieldName } of attributes) {
    assert.ok(Object.getOwnPropertyDescriptor(AudienceMeterElement.prototype, fieldName).set, fieldName);
    assert.ok(described.members.some(({ name, reflects }) => name === fieldName && reflects), fieldName);
  }
});

test('the types name what the module has', async () => {
  const module = await import(new URL('audience.js', CLIENT));
  assert.deepEqual(Object.keys(module).sort(), ['Audience', 'audience']);
  const types = await read('audience.d.ts');
  const methods = Object.getOwnPropertyNames(module.Audience.prototype).filter((name) => name !== 'constructor');
  for (const name of methods) assert.ok(types.includes(`  ${name}(`), `audience.d.ts lacks ${name}`);
});

test('the package has all it names, and nothing else', async () => {
  const manifest = JSON.parse(await read('package.json'));
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: fileURLToPath(CLIENT), timeout: 60_000,
  });
  const [packed] = JSON.parse(stdout);
  const files = packed.files.map(({ path }) => path).sort();
  assert.deepEqual(files, ['LICENSE', 'README.md', ...manifest.files, 'package.json'].sort());
  const named = [manifest.main, manifest.types, manifest.unpkg, manifest.jsdelivr, manifest.customElements, ...targets(manifest.exports)];
  for (const name of named) assert.ok(files.includes(name.replace('./', '')), `${name} is not in the package`);
  assert.equal(packed.name, 'audience-meter');
  assert.equal(manifest.dependencies, undefined);
});

test('the package is of the version and the license of the daemon', async () => {
  const cargo = await read('../Cargo.toml');
  const manifest = JSON.parse(await read('package.json'));
  assert.equal(manifest.version, /^version = "(.*)"$/m.exec(cargo)[1]);
  assert.equal(manifest.license, /^license = "(.*)"$/m.exec(cargo)[1]);
  assert.equal(await read('LICENSE'), await read('../LICENSE'));
});

/** All files that an `exports` leads to. */
function targets(exports) {
  return typeof exports === 'string' ? [exports] : Object.values(exports).flatMap(targets);
}
