// engines.mjs: the same page in Chromium, Firefox and WebKit, each driven by the protocol that is its own.
//
// Owns: the browsers of a test file. Each is started when the first test needs it, and ended after the last.
// Does not know: what is tested.
// Keeps: each page has a profile of its own and takes any certificate, and all pages answer to the same calls.
//
// What a page complains of is known in Chromium and Firefox alone: WebKit's driver has no word for it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DEADLINE_MS, launch, until } from './harness.mjs';

export const ENGINES = ['chromium', 'firefox', 'webkit'];

const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
const WEBKIT_DRIVER = process.env.WEBKIT_DRIVER ?? '/usr/bin/WebKitWebDriver';

/** Where Debian, on any architecture, keeps WebKit's plain browser. */
const MINI_BROWSERS = ['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu/webkit2gtk-4.1/MiniBrowser`);

/** What takes a person's patience with Firefox: questions at the start, and pages about itself. */
const FIREFOX_PREFERENCES = { 'browser.shell.checkDefaultBrowser': false, 'network.http.speculative-parallel-limit': 0 };

const launched = {};
const ends = [];
after(async () => {
  for (const end of ends.reverse()) await end();
});

/** Defines one test for each engine; METER_ENGINES names those of a run by hand. `body` is given the engine. */
export function everyEngine(what, body, names = ENGINES) {
  const wanted = process.env.METER_ENGINES?.split(',') ?? names;
  for (const name of names.filter((one) => wanted.includes(one))) {
    test(`${name}: ${what}`, (t) => body(t, engineOf(name)));
  }
}

/** An engine by its name, which opens pages. */
export function engineOf(name) {
  return { name, openPage: (t, options) => OPENERS[name](t, options) };
}

const startOnce = (name, start) => (launched[name] ??= start());

/** A page of Playwright or Puppeteer, which agree on these methods; the driver's own come on top, and all of it is `driver`. */
function drivenPage(page, context, own) {
  const complaints = [];
  // Firefox has the kind of an error in its words.
  page.on('pageerror', (error) => complaints.push(String(error).replace(/^Error: (?=\w*Error: )/, '')));
  return withTexts({
    driver: page,
    context,
    complaints,
    goto: (url) => page.goto(url),
    evaluate: (script, ...args) => page.evaluate(callOf(script, args)),
    reload: () => page.reload(),
    close: () => page.close(),
    ...own,
  });
}

// ---------------------------------------------------------------------------------------------
// Chromium, by its own protocol
// ---------------------------------------------------------------------------------------------

async function openInChromium(t, { profile, ...options } = {}) {
  const browser = await startOnce('chromium', async () => {
    const one = await launch();
    ends.push(() => one.close());
    return one;
  });
  const context = profile?.context ?? await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  if (!profile) t.after(() => context.close());
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  return drivenPage(page, context, {
    // A page that has lost what scripts need is read by it as well.
    textContent: (selector) => page.textContent(selector),
    // A page that is kept as it was loads nothing on the way back.
    back: () => page.goBack({ waitUntil: 'commit' }),
    before: (script) => page.addInitScript(script),
    setViewport: (width, height) => page.setViewportSize({ width, height }),
    png: () => page.screenshot({ animations: 'disabled', fullPage: true }),
  });
}

// ---------------------------------------------------------------------------------------------
// Firefox, by WebDriver BiDi
// ---------------------------------------------------------------------------------------------

async function openInFirefox(t, { profile } = {}) {
  const browser = await startOnce('firefox', async () => {
    if (!existsSync(FIREFOX)) throw new Error(`no ${FIREFOX}: apt-get install firefox-esr, or name another in FIREFOX`);
    const { default: puppeteer } = await import('puppeteer-core');
    const one = await puppeteer.launch({
      browser: 'firefox', executablePath: FIREFOX, headless: true, extraPrefsFirefox: FIREFOX_PREFERENCES,
      acceptInsecureCerts: true, timeout: 4 * DEADLINE_MS,
    });
    ends.push(() => one.close());
    return one;
  });
  const context = profile?.context ?? await browser.createBrowserContext();
  if (!profile) t.after(() => context.close());
  const page = await newFirefoxPage(context);
  page.setDefaultTimeout(DEADLINE_MS);
  return drivenPage(page, context, {
    back: () => page.goBack(),
    before: (script) => page.evaluateOnNewDocument(script),
    setViewport: (width, height) => page.setViewport({ width, height }),
    png: () => page.screenshot({ fullPage: true }),
  });
}

// Firefox replaces the first document of a new window, and its driver may ask the one that is gone already
// (https://github.com/w3c/webdriver-bidi/issues/540). No page was opened then, and it is asked for one again.
async function newFirefoxPage(context, attempts = 5) {
  try {
    return await context.newPage();
  } catch (error) {
    if (attempts === 1 || !String(error.message).includes('no such frame')) throw error;
    return newFirefoxPage(context, attempts - 1);
  }
}

// ---------------------------------------------------------------------------------------------
// WebKit, by WebDriver: one driver, one browser and one profile for each page that is open at a time
// ---------------------------------------------------------------------------------------------

const idleSessions = [];

async function openInWebKit(t, { profile } = {}) {
  if (profile) return webKitPage(profile.session, await profile.session.call('POST', '/window/new', { type: 'window' }));
  const session = idleSessions.pop() ?? await startWebKit();
  await session.call('POST', '/timeouts', { pageLoad: DEADLINE_MS, script: DEADLINE_MS });
  t.after(async () => {
    // Pages that the test opened beside this one are closed with their windows.
    for (const handle of await session.call('GET', '/window/handles')) {
      if (handle !== session.first) await session.in(handle, 'DELETE', '/window');
    }
    await session.in(session.first, 'POST', '/url', { url: 'about:blank' });
    await session.call('DELETE', '/cookie');
    idleSessions.push(session);
  });
  return webKitPage(session, { handle: session.first });
}

function webKitPage(session, { handle }) {
  const call = (...what) => session.in(handle, ...what);
  return withTexts({
    session,
    complaints: [],
    goto: (url) => call('POST', '/url', { url }),
    evaluate: (script, ...args) => call('POST', '/execute/sync', { script: `return ${callOf(script, args)}`, args: [] }),
    back: () => call('POST', '/back', {}),
    reload: () => call('POST', '/refresh', {}),
    close: () => (handle === session.first ? call('POST', '/url', { url: 'about:blank' }) : call('DELETE', '/window')),
    setViewport: (width, height) => webKitViewport(call, width, height),
    png: async () => Buffer.from(await call('GET', '/screenshot'), 'base64'),
  });
}

/** A window has a frame, whose size is what is over after a first try. */
async function webKitViewport(call, width, height) {
  await call('POST', '/window/rect', { width, height });
  const [w, h] = await call('POST', '/execute/sync', { script: 'return [innerWidth, innerHeight]', args: [] });
  await call('POST', '/window/rect', { width: 2 * width - w, height: 2 * height - h });
}

async function startWebKit() {
  const miniBrowser = process.env.MINI_BROWSER ?? MINI_BROWSERS.find((path) => existsSync(path));
  if (!existsSync(WEBKIT_DRIVER) || !miniBrowser) {
    throw new Error(`no ${WEBKIT_DRIVER} or no MiniBrowser: apt-get install webkit2gtk-driver, or name others in WEBKIT_DRIVER and MINI_BROWSER`);
  }
  const display = await startOnce('display', startDisplay);
  const port = await freePort();
  const driver = spawn(WEBKIT_DRIVER, [`--port=${port}`, '--host=127.0.0.1'], {
    stdio: 'ignore',
    env: {
      ...process.env, DISPLAY: display, GDK_BACKEND: 'x11', LIBGL_ALWAYS_SOFTWARE: '1', NO_AT_BRIDGE: '1',
      WEBKIT_DISABLE_COMPOSITING_MODE: '1', WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1',
    },
  });
  ends.push(() => endProcess(driver));
  await until('WebKit\'s driver to listen', () => answers(port));
  const ask = asker(port);
  const { sessionId } = await ask('POST', '/session', {
    capabilities: { alwaysMatch: {
      acceptInsecureCerts: true, 'webkitgtk:browserOptions': { binary: miniBrowser, args: ['--automation'] },
    } },
  });
  const call = (method, path, body) => ask(method, `/session/${sessionId}${path}`, body);
  ends.push(() => call('DELETE', ''));
  const first = await call('GET', '/window');
  let turn = Promise.resolve();
  let current = first;
  // A session has one window at a time that its calls are about.
  const inWindow = (handle, ...what) => {
    turn = turn.catch(() => {}).then(async () => {
      if (current !== handle) await call('POST', '/window', { handle });
      current = handle;
      return call(...what);
    });
    return turn;
  };
  return { call, first, in: inWindow };
}

const asker = (port) => async (method, path, body) => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method, body: body && JSON.stringify(body), headers: { 'Content-Type': 'application/json' },
  });
  const { value } = await answer.json();
  if (value?.error) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
  return value;
};

/** A screen that is seen by no person, on a display number that Xvfb finds free. */
async function startDisplay() {
  const server = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '3840x2400x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  ends.push(() => endProcess(server));
  const failed = once(server, 'error').then(() => { throw new Error('no Xvfb: apt-get install xvfb'); });
  const [number] = await Promise.race([once(server.stdio[3].setEncoding('utf8'), 'data'), failed]);
  return `:${number.trim()}`;
}

// ---------------------------------------------------------------------------------------------
// What all have
// ---------------------------------------------------------------------------------------------

const OPENERS = { chromium: openInChromium, firefox: openInFirefox, webkit: openInWebKit };

/** The text of a function, or an expression, as a call with arguments that JSON can say. */
function callOf(script, args) {
  return typeof script === 'function' ? `(${script})(...${JSON.stringify(args)})` : `(${script})`;
}

/** What every page has beside what its engine gives. Texts are null while the element is not there. */
function withTexts(page) {
  const text = (selector) => page.evaluate((one) => document.querySelector(one)?.textContent ?? null, selector);
  return {
    ...page,
    text,
    textContent: page.textContent ?? text,
    getAttribute: (selector, name) => page.evaluate((...of) => document.querySelector(of[0])?.getAttribute(of[1]) ?? null, selector, name),
    goBack: page.back,
    title: () => page.evaluate(() => document.title),
    click: (selector) => page.evaluate((one) => document.querySelector(one).click(), selector),
    fill: (selector, value) => page.evaluate((...given) => {
      const field = document.querySelector(given[0]);
      field.value = given[1];
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }, selector, value),
    /** Kept where METER_SCREENSHOTS says, for a person to look at. */
    screenshot: async (name) => {
      const folder = process.env.METER_SCREENSHOTS;
      if (!folder) return;
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, name), await page.png());
    },
  };
}

async function endProcess(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill();
  await gone;
}

function answers(port) {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => done(socket.destroy()));
    socket.on('error', () => done(false));
  });
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await once(server.close(), 'close');
  return port;
}
