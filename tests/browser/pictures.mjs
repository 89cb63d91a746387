// pictures.mjs: the dashboard and the demo in all sizes, colours and engines, for a person to look at. It is no test.
//
//     METER_SCREENSHOTS=/tmp/pictures METER_ENGINES=firefox node --test tests/browser/pictures.mjs
//
// The daemon is played by a server that has more events, nodes and troubles than a test would make. Forced colours, dark
// demo pages and paper are Chromium's alone, whose driver can ask for them.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { everyEngine } from './engines.mjs';
import { CLIENT, dashboard, minifiedModule } from './build.mjs';
import { shows, until } from './harness.mjs';

const WIDTHS = [320, 768, 1280, 1920, 3840];
const MODES = { light: {}, dark: { colorScheme: 'dark' }, forced: { forcedColors: 'active' }, print: { media: 'print' } };

/** In Arabic, with an override, with a heap of marks, an emoji of many parts, Thai, and one that is long. */
const STRANGE = ['سباق-القوارب', 'ab\u202ecod.exe', 'z\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301algo', '👩‍👩‍👧‍👦 family', 'การแข่งขัน', 'x'.repeat(120)];

const MANY = { members: 12_226_808, connections: 158_948_511, peak: 30_567_020 };

const nowS = () => Math.floor(Date.now() / 1000);

function namespaces() {
  const names = ['big-event', ...STRANGE.map(encodeURIComponent), ...Array.from({ length: 60 }, (_, index) => `event-${index}`)];
  const stays = [310, 190, 160, 150, 170, 220, 300, 420, 640, 900, 1_240, 1_390, 980, 410, 120, 161_990];
  return Object.fromEntries(names.map((name, index) => {
    const { members, connections, peak } = index ? { members: 4_000 - 60 * index, connections: 9e4 - index, peak: 5_000 } : MANY;
    return [name, {
      created: nowS() - 90_000, members, connections, modified: nowS(), uncounted: 0, peak, peak_at: nowS() - 30_000 - index,
      member_seconds: 1e9 / (index + 1), average: members * 0.7, average_watch: 706.2, stays,
    }];
  }));
}

function history(name) {
  const end = Math.floor(nowS() / 60);
  const size = namespaces()[name].members;
  const rows = Array.from({ length: 1_440 }, (_, minute) => {
    const average = size * (0.55 + 0.3 * Math.sin(minute / 160) + 0.05 * Math.sin(minute / 9));
    return [60 * (end - 1_439 + minute), average * 0.94, average, average * 1.07, size / 75, size / 75 * (minute % 3 ? 1 : 0.4)].map(Math.round);
  });
  return { namespace: name, step: 60, columns: ['time', 'min', 'average', 'max', 'joins', 'leaves'], rows };
}

function cluster() {
  const members = Array.from({ length: 96 }, (_, index) => ({
    node: (0xb08eade3f7c7 + index * 7_919).toString(16).padStart(16, '0'), members: 127_363 - 900 * index, silent_ms: index === 95 ? 4_200 : 3, draining: index === 7,
  }));
  const troubles = [{ kind: 'clock_skew', address: '10.0.0.9:314', node: members[3].node, skew_ms: 41_000, since_s: 700, remedy: 'set the clocks of all hosts by NTP' }];
  return {
    node: members[1].node, nodes: 96, members, silent: { nodes: 1, members: 41_863 }, troubles,
    datagrams: { sent: 9_312_881, received: 884_223_102, dropped: {}, overflowed: 0, send_errors: 0 },
  };
}

/** Plays all ports of a daemon. */
async function start(t, mode) {
  const stream = (response, text) => response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Access-Control-Allow-Origin': '*' }).write(text);
  const demo = await readFile(new URL('demo.html', CLIENT), 'utf8');
  const script = await minifiedModule('served/audience.js');
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://h');
    const json = (value) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    if (searchParams.has('watch')) {
      const all = namespaces();
      stream(response, `event: counts\n${['*=12400000', ...Object.entries(all).map(([name, { members }]) => `${name}=${members}`)].map((pair) => `data: ${pair}`).join('\n')}\n\n`);
      setTimeout(() => response.write(`event: peak\ndata: ${encodeURIComponent(STRANGE[1])}=4001\ndata: big-event=12226808\n\nevent: occupied\ndata: ${encodeURIComponent(STRANGE[5])}=1\ndata: event-3=1\n\nevent: crossed 1000000\ndata: big-event=1200000\n\n`), 1_500);
    } else if (pathname === '/client/audience.js') response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
    else if ((request.headers.accept ?? '').includes('event-stream')) {
      stream(response, 'data: 12226790\n\n');
      let count = 12_226_790;
      const timer = setInterval(() => response.write(`data: ${count += Math.round(40 * Math.random() - 15)}\n\n`), 60);
      setTimeout(() => response.write('data: score=2 : 1 for ab%E2%80%AEcod.exe\n\n'), 500);
      response.on('close', () => clearInterval(timer));
    } else if (request.headers.accept?.includes('text/html') && pathname !== '/') response.writeHead(200, { 'Content-Type': 'text/html' }).end(demo.replaceAll('{{audience_port}}', server.address().port));
    else if (pathname === '/cluster') json(cluster());
    else if (pathname === '/process') json({ audience_port: 80 });
    else if (pathname.startsWith('/namespace/')) json(namespaces()[pathname.slice(11)]);
    else if (pathname.startsWith('/history/')) json(history(pathname.slice(9, -5)));
    else if ((request.headers.accept ?? '').includes('text/html')) {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end((await dashboard()).replace('<html', `<html data-theme="${mode === 'dark' ? 'dark' : 'light'}"`));
    } else json(namespaces());
  });
  server.listen(0, '127.0.0.1');
  await until('the server', () => server.address());
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

for (const [mode, { media, ...options }] of Object.entries(MODES)) {
  everyEngine(`the dashboard, ${mode}`, async (t, engine) => {
    if (engine.name !== 'chromium' && options.forcedColors) return t.skip('its driver has no word for it');
    const url = await start(t, mode);
    const page = await engine.openPage(t, options);
    if (media && engine.name !== 'chromium') return t.skip('its driver has no word for it');
    for (const width of WIDTHS) {
      await page.setViewport(width, width < 700 ? 640 : Math.min(Math.round(width * 0.6), 2160));
      await page.goto(`${url}/#/big-event`);
      await shows(page, '#node-count', '96, 1 silent, 1 trouble');
      await until('the chart', () => page.evaluate(() => document.querySelectorAll('#chart .band').length > 0 && document.querySelectorAll('#feed li').length > 3));
      if (media) {
        await page.context.pages()[0].emulateMedia({ media });
        await page.evaluate(() => { dispatchEvent(new Event('beforeprint')); });
      }
      await page.screenshot(`dashboard-${engine.name}-${mode}-${width}.png`);
      if (media) await page.context.pages()[0].emulateMedia({ media: 'screen' });
    }
  });

  everyEngine(`the demo, ${mode}`, async (t, engine) => {
    if (engine.name !== 'chromium' && mode !== 'light') return t.skip('its driver has no word for it');
    const url = await start(t, mode);
    const page = await engine.openPage(t, options);
    for (const width of WIDTHS) {
      await page.setViewport(width, width < 700 ? 640 : Math.min(Math.round(width * 0.6), 2160));
      const name = width === 768 ? 'سباق-القوارب '.repeat(3).trim() : STRANGE[width === 320 ? 2 : 0];
      await page.goto(`${url}/${encodeURIComponent(name)}`);
      await until('the number', async () => /\d/.test(await page.text('#total')));
      await new Promise((resolve) => { setTimeout(resolve, 2_000); });
      if (media) await page.context.pages()[0].emulateMedia({ media });
      await page.screenshot(`demo-${engine.name}-${mode}-${width}.png`);
    }
  });
}
