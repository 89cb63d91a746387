// harness.mjs: what the browser tests share: the daemon under test, a browser, a server for pages of another origin.
//
// Owns: every process and socket that a test starts, and the way to end it. Whoever starts one hands it to `t.after`.
// Does not know: what is tested.
// Keeps: each wait is for a condition and has a deadline; a wait that fails says what it waited for.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

/** How long anything may take that is not itself about time. Generous: other tests run beside these. */
export const DEADLINE_MS = 15_000;
const POLL_MS = 20;

/** The flags with which an interrupted page is back soon, and two counts are told 0.1 s apart. */
const QUICK = ['--notify-min-delay', '0.1', '--retry-min', '0.2', '--retry-max', '0.5'];

/**
 * One process, for tests of the pages: it knows every change at once, where of several each hears of another's a moment
 * later; and it is gone when it is killed, where workers outlive their supervisor by a moment, on the same ports.
 */
export const ALONE = [...QUICK, '-w', '1'];

/** Two, for what a page sees of them. */
export const TWO_WORKERS = [...QUICK, '-w', '2'];

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const CHROMIUM_FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const PORTS = ['audience', 'stats', 'notification', 'demo'];
const OPTIONS = { audience: '--port', stats: '--stats-port', notification: '--notification-port', demo: '--demo-port' };

/** One daemon, which keeps its ports over a restart. */
export class Meter {
  #args;
  #ports;
  #child = null;

  static async start(t, ...args) {
    const meter = new Meter(args, await freePorts());
    t.after(() => meter.stop());
    await meter.run();
    return meter;
  }

  /** One more process of the same audience, with side ports of its own. */
  async sibling(t) {
    const meter = new Meter(this.#args, { ...await freePorts(), audience: this.#ports.audience });
    t.after(() => meter.stop());
    await meter.run();
    return meter;
  }

  constructor(args, ports) {
    this.#args = args;
    this.#ports = ports;
  }

  /** Where a port of the daemon is: 'audience', 'stats', 'notification' or 'demo'. */
  url(port, path = '') {
    return `http://127.0.0.1:${this.#ports[port]}${path}`;
  }

  /** Resolves when the daemon has said that it is ready, on the ports that it was given. */
  async run() {
    const ports = PORTS.flatMap((port) => [OPTIONS[port], String(this.#ports[port])]);
    const child = spawn(process.env.METER_BIN, [...ports, ...this.#args], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    const said = [];
    const all = () => `; it said:\n${said.join('\n')}`;
    await within(DEADLINE_MS, () => `the daemon to be ready${all()}`, new Promise((ready, fail) => {
      child.on('error', fail);
      child.on('exit', (code, signal) => fail(new Error(`the daemon ended, ${code ?? signal}${all()}`)));
      createInterface({ input: child.stderr }).on('line', (line) => {
        said.push(line);
        if (line.includes('event=ready')) ready();
      });
    }));
    for (const port of PORTS) {
      const listening = new RegExp(`event=listening port=${port} address=\\S*:${this.#ports[port]}\\b`);
      if (!said.some((line) => listening.test(line))) throw new Error(`the daemon is not on its ${port} port${all()}`);
    }
  }

  /** Ends the daemon, by default without giving it a chance to say so to anybody. */
  async stop(signal = 'SIGKILL') {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await within(DEADLINE_MS, () => `the daemon to end after ${signal}`, gone);
  }

  /** All that the stats port tells of a namespace, nothing when it knows of none. Unasked, for a request may come too late. */
  async figures(namespace) {
    const socket = connect(this.#ports.stats, '127.0.0.1').setEncoding('utf8').end();
    const told = within(DEADLINE_MS, () => 'the stats', socket.toArray());
    const all = JSON.parse((await told.finally(() => socket.destroy())).join(''));
    return all[namespace] ?? {};
  }

  async stats(namespace) {
    const { members = 0, connections = 0 } = await this.figures(namespace);
    return { members, connections };
  }

  async members(namespace) {
    return (await this.stats(namespace)).members;
  }

  /** Sends a message; all three parts go out as they are. */
  async notify(namespace, service, text) {
    const url = this.url('notification', `/${namespace}/${service}/${text}`);
    const [response] = await once(get(url, { agent: false, timeout: DEADLINE_MS }), 'response');
    response.resume();
    if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`);
  }
}

/** A browser without a profile, with the back/forward cache that a person's has. Whoever launches it closes it. */
export async function launch(flags = []) {
  if (!existsSync(CHROMIUM)) throw new Error(`no ${CHROMIUM}: apt-get install chromium, or name another in CHROMIUM`);
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [...CHROMIUM_FLAGS, ...flags],
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    timeout: 2 * DEADLINE_MS,
  });
}

/** A browser profile of its own. */
export async function openContext(t, browser, options) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  context.setDefaultTimeout(DEADLINE_MS);
  return context;
}

/** A page in a browser profile of its own. What it complains of is in `page.complaints`. */
export async function openPage(t, browser, options) {
  const page = await (await openContext(t, browser, options)).newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  return page;
}

/** Of each age that is still met. */
export const JQUERY = {
  '1.7.2': new URL('node_modules/jquery1/tmp/jquery.js', import.meta.url),
  '3.7.1': new URL('node_modules/jquery3/dist/jquery.min.js', import.meta.url),
  '4.0.0': new URL('node_modules/jquery4/dist/jquery.min.js', import.meta.url),
};

/** A page with what the README of 2011 says, which has joined `url` or is about to. */
export async function jqueryPage(t, engine, { url, version = '3.7.1', script = '', plugin = '/plugin.js' }) {
  const site = await serve(t, {
    '/jquery.js': JQUERY[version],
    '/plugin.js': new URL('../../client/jquery.audience.js', import.meta.url),
    '/': `<!doctype html>${scriptOf(script)}
    <script src="/jquery.js"></script>
    <script src="${plugin}"></script>
    <script>
    window.member = $.audience('${url}').progress(function(total)
    {
        document.getElementById("total").innerHTML = total;
    });
    window.progress = [];
    member.progress(function (data, parsed) { window.progress.push([data, parsed]); });
    member.fail(function (message) { window.failure = message; });
    </script>

    Connected users <span id="total">-</span>`,
  });
  const page = await engine.openPage(t);
  await page.goto(site.url('/'));
  return page;
}

/** The tag of a script that runs before those of a page: the text of one, or a function that is called. */
export function scriptOf(script) {
  return `<script>${typeof script === 'function' ? `(${script})();` : script}</script>`;
}

/** What lets a page of any origin read an answer. */
export const ANY_ORIGIN = { 'Access-Control-Allow-Origin': '*' };

/** With a 204: another stream holds the uuid that is asked for, and any page may ask. */
export const CLAIMED = {
  ...ANY_ORIGIN, 'Access-Control-Allow-Headers': '*', 'Access-Control-Expose-Headers': '*', 'Audience-Meter-Farewell': 'claimed',
};

/** Begins an event stream that any page may read. */
export function stream(response, text) {
  response.writeHead(200, { ...ANY_ORIGIN, 'Content-Type': 'text/event-stream' }).write(text);
  return response;
}

/**
 * For a page, before its scripts run: it comes back at once, and notes in `waits` how long it would have waited; chance
 * gives its most. From the ninth wait on it waits. The watch over silence is left alone, and what the server wishes,
 * and the watch of WebKit's driver over its own scripts (DEADLINE_MS).
 */
export function noteWaits() {
  window.waits = [];
  const { setTimeout } = window;
  window.setTimeout = (callback, ms) => {
    if (ms === 75_000 || ms === 300 || ms === 15_000) return setTimeout(callback, ms);
    return setTimeout(callback, window.waits.push(ms) > 8 ? ms : 0);
  };
  Math.random = () => 1;
}

/**
 * A server of another origin than the daemon's. `routes` has a string of HTML, a file URL of a script, or a function
 * (request, response) for each path; what is not there is a 404. Tells its address, and counts requests by path.
 */
export async function serve(t, routes) {
  const requests = {};
  const server = createServer(async (request, response) => {
    const path = request.url.split('?')[0];
    requests[path] = (requests[path] ?? 0) + 1;
    const route = routes[path];
    if (typeof route === 'function') return route(request, response);
    if (route === undefined) return response.writeHead(404).end();
    const script = route instanceof URL;
    response.writeHead(200, { 'Content-Type': script ? 'text/javascript' : 'text/html; charset=utf-8' });
    response.end(script ? await readFile(fileURLToPath(route)) : route);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: (path) => `http://127.0.0.1:${server.address().port}${path}`, requests };
}

/** A folder that is gone after the test. */
export async function temporaryFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), 'audience-meter-'));
  t.after(() => rm(folder, { recursive: true, maxRetries: 10 }));
  return folder;
}

/** A key and a certificate that a browser has to be told to accept. */
export async function makeCertificate(t) {
  const folder = await temporaryFolder(t);
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
  await promisify(execFile)('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
    '-keyout', key, '-out', cert,
  ]);
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
}

/** Waits until `condition` holds, and tells what it gave. */
export async function until(what, condition, deadlineMs = DEADLINE_MS) {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await pause();
  }
}

/** Watches that what `look` sees stays as it should be all through `ms`. */
export async function remains(expected, look, ms) {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    assert.deepEqual(await look(), expected);
    await pause();
  }
}

/** Waits until the element shows this text, and says what it showed instead. */
export async function shows(page, selector, text, deadlineMs = DEADLINE_MS) {
  let seen;
  await until(`${selector} to show ${text}`, async () => {
    seen = await textOf(page, selector);
    return seen === text;
  }, deadlineMs).catch((error) => { throw new Error(`${error.message}; it shows ${seen}`); });
}

/**
 * What a person reads there: an element that has a shadow root shows it, and its children where the root has a slot.
 * Undefined while the page or the element is not there.
 */
export function textOf(page, selector) {
  const look = (selector) => {
    const element = document.querySelector(selector);
    const root = element && element.shadowRoot;
    return element ? (root && !root.querySelector('slot') ? root : element).textContent : undefined;
  };
  // In the pages of old.test.mjs, the driver lacks what it needs for that, and there are no shadow roots.
  return page.evaluate(`(${look})(${JSON.stringify(selector)})`).catch(() => page.textContent(selector));
}

const pause = () => new Promise((resolve) => { setTimeout(resolve, POLL_MS); });

async function within(deadlineMs, what, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${deadlineMs} ms in vain for ${what()}`)), deadlineMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** One member of each name, as it stands there: `fetch` would encode some. They stay until they are destroyed. */
export async function gather(t, meter, names) {
  const { port } = new URL(meter.url('audience'));
  return Promise.all(names.map(async (name) => {
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(`GET /${name} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
    let text = '';
    while (!/data: \d+\n/.test(text)) text += (await once(socket, 'data'))[0];
    assert.match(text, /^HTTP\/1\.1 200 /);
    socket.resume();
    return socket;
  }));
}

/** As many ports as a daemon has, all free at one moment: they are held together before they are let go. */
export async function freePorts() {
  const servers = await Promise.all(PORTS.map(async () => {
    const server = createTcpServer().listen(0);
    await once(server, 'listening');
    return server;
  }));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return Object.fromEntries(PORTS.map((port, index) => [port, ports[index]]));
}

/** Kept where METER_SCREENSHOTS says, for a person to look at. */
export async function screenshot(page, name) {
  const folder = process.env.METER_SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ animations: 'disabled', fullPage: true, path: join(folder, name) });
}

/** What axe-core has to say of the page, contrast by WCAG 2.2 AA included. */
export async function faultsFoundByAxe(page) {
  await page.evaluate(await readFile(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8'));
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}: ${node.failureSummary}`));
}
