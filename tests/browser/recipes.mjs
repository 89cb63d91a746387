// recipes.mjs: the recipes of client/README.md for frameworks, as they stand there, and scripts that are built with them.
//
// Owns: how a file of each framework is compiled. Does not know: what is tested.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { compile as compileSvelte } from 'svelte/compiler';
import { compileScript, parse } from 'vue/compiler-sfc';
import { CLIENT } from './build.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** The first block of a language in client/README.md, with the address of a server in its place. */
export async function recipeOf(language, server) {
  const markdown = await readFile(new URL('README.md', CLIENT), 'utf8');
  const [, recipe] = new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'm').exec(markdown);
  return recipe.replaceAll('https://YOUR-SERVER.COM', server);
}

/** A folder where the packages are found, which is gone after the test. */
export async function folderBeside(t, where = 'node_modules/.') {
  const folder = await mkdtemp(join(HERE, `${where}recipe-`));
  t.after(() => rm(folder, { recursive: true, maxRetries: 10 }));
  return folder;
}

/** A script with the recipe of this language, joined at this daemon. */
export async function bundle(t, meter, language, script, options = {}) {
  return bundleOf(t, language, await recipeOf(language, meter.url('audience')), script, options);
}

/** A script that imports a file of this language by the name RECIPE. */
export async function bundleOf(t, language, text, script, options = {}) {
  const folder = await folderBeside(t);
  const file = join(folder, { jsx: 'recipe.jsx', ts: 'recipe.ts' }[language] ?? 'recipe.js');
  await writeFile(file, COMPILERS[language](text));
  const { outputFiles } = await esbuild.build({
    stdin: { contents: script.replace('RECIPE', file), resolveDir: HERE }, bundle: true, write: false, format: 'esm', minify: true,
    preserveSymlinks: true, jsx: 'automatic', conditions: ['browser', 'svelte'], logLevel: 'error',
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true, useDefineForClassFields: false } },
    define: { 'process.env.NODE_ENV': '"production"', __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false' },
    ...options,
  });
  return outputFiles[0].text.replaceAll('</script', '<\\/script');
}

const COMPILERS = {
  jsx: (recipe) => recipe,
  ts: (recipe) => recipe,
  vue: (recipe) => compileScript(parse(recipe).descriptor, {
    id: 'recipe', inlineTemplate: true, templateOptions: { compilerOptions: { isCustomElement: (tag) => tag === 'audience-meter' } },
  }).content,
  svelte: (recipe) => compileSvelte(recipe, { generate: 'client' }).js.code,
};
