// race.test.mjs: 240 members behind a proxy of the manual, whose daemon is killed and drained, are all back, in every engine.
//
// Between the page and the proxy are 60 ms each way, in which an answer may cross the end of the daemon. METER_RACES is how
// often the daemon is killed, and how often it is drained: once by default, ten times for the figures of the manual. These are
// of the waits that the client has by itself (METER_WAITS=default), and of all proxies that serve 20 streams of a connection
// (METER_PROXIES, with commas between them), HAProxy and nginx by default:
//
//   METER_BIN=target/release/audience-meter METER_RACES=10 METER_WAITS=default \
//   METER_PROXIES=haproxy,nginx,caddy,traefik,envoy,h2o node --test tests/browser/race.test.mjs

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { everyEngine } from './engines.mjs';
import { Meter, freePorts, makeCertificate, serve, temporaryFolder, until } from './harness.mjs';

const RACES = Number(process.env.METER_RACES ?? 1);
const NAMES = (process.env.METER_PROXIES ?? 'haproxy,nginx').split(',');
/** Short ones keep a run of one race short. */
const WAITS = process.env.METER_WAITS === 'default' ? {} : { backoffMs: 500 };
const MEMBERS = 240;
/** Few enough for the streams of one HTTP/2 connection, and for the connections that WebKit has at a time. */
const HOSTS = Array.from({ length: 6 }, (_, index) => `127.0.1.${index + 1}`);
const DISTANCE_MS = 60;
const AWAY_MS = 1_500;
/** Longer than the silence after which a page comes back whose browser says nothing of a lost stream. */
const BACK_MS = 120_000;
const LOOK_MS = 100;

/** How a proxy is started, and what is around its block of the manual. */
const PROXIES = {
  haproxy: {
    block: /```haproxy\n(.*?)```/s,
    placed: ({ port, daemon, folder }) => [
      ['bind :443', `bind 127.0.0.1:${port}`], ['/etc/haproxy/audience.pem', `${folder}/both.pem`], ['127.0.0.1:8000', daemon],
    ],
    around: (block) => block,
    command: (file) => ['haproxy', '-db', '-f', file],
  },
  nginx: {
    block: /```nginx\n(.*?)```/s,
    placed: ({ port, daemon, folder }) => [
      ['listen 443', `listen 127.0.0.1:${port}`], ['/etc/ssl/audience.pem', `${folder}/both.pem`],
      ['/etc/ssl/audience.key', `${folder}/both.pem`], ['127.0.0.1:8000', daemon],
    ],
    around: (block, folder) => `daemon off; master_process off; pid ${folder}/pid; error_log stderr; events {}
      http { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
      ${block} }`,
    command: (file, folder) => ['nginx', '-e', 'stderr', '-p', folder, '-c', file],
  },
  caddy: {
    block: /```caddyfile\n(.*?)```/s,
    placed: ({ port, daemon, folder }) => [
      ['audience.example {', `https://:${port} {\ntls ${folder}/both.pem ${folder}/both.pem`], ['127.0.0.1:8000', daemon],
    ],
    around: (block) => `{\nadmin off\nauto_https off\n}\n${block}`,
    command: (file) => ['caddy', 'run', '--adapter', 'caddyfile', '--config', file],
  },
  traefik: {
    block: /```yaml\n# traefik (?:.*?)\n(.*?)```/s,
    placed: ({ daemon, folder }) => [
      ['127.0.0.1:8000', daemon], ['/etc/ssl/audience.pem', `${folder}/both.pem`], ['/etc/ssl/audience.key', `${folder}/both.pem`],
    ],
    around: (block) => block,
    command: (file, folder, port) => [
      'traefik', `--entrypoints.https.address=127.0.0.1:${port}`, `--providers.file.filename=${file}`,
    ],
  },
  envoy: {
    block: /```yaml\n(static_resources:.*?)```/s,
    placed: ({ port, daemon, folder }) => [
      ['address: 0.0.0.0, port_value: 443', `address: 127.0.0.1, port_value: ${port}`],
      ['127.0.0.1, port_value: 8000', daemon.replace(':', ', port_value: ')],
      ['/etc/ssl/audience.pem', `${folder}/both.pem`], ['/etc/ssl/audience.key', `${folder}/both.pem`],
    ],
    around: (block) => block,
    command: (file) => ['envoy', '--config-path', file, '--concurrency', '1', '--use-dynamic-base-id'],
  },
  h2o: {
    block: /```yaml\n(hosts:.*?)```/s,
    placed: ({ port, daemon, folder }) => [
      ['port: 443', `host: 127.0.0.1\n      port: ${port}`], ['127.0.0.1:8000', daemon],
      ['/etc/ssl/audience.pem', `${folder}/both.pem`], ['/etc/ssl/audience.key', `${folder}/both.pem`],
    ],
    around: (block) => `num-threads: 1\n${block}`,
    command: (file) => ['h2o', '-c', file],
  },
};

/** Where programs are: those of Python packages, and those of a system's daemons. */
const PYTHON = fileURLToPath(new URL('.python', import.meta.url));
const PATH = `${PYTHON}/envoy/_bin:${PYTHON}/bin:${process.env.PATH}:/usr/sbin`;

for (const name of NAMES) {
  everyEngine(`${MEMBERS} members behind ${name} are back after each of ${RACES} kills and ${RACES} drains`, async (t, engine) => {
    const meter = await Meter.start(t, '--trust-proxy', '127.0.0.1/32', '--retry-min', '0.2', '--retry-max', '1', '-w', '1');
    const port = await startProxy(t, PROXIES[name], new URL(meter.url('audience')).host);
    const distant = await startDistance(t, port);
    const site = await serve(t, {
      '/audience.js': new URL('../../client/audience.js', import.meta.url),
      '/': `<!doctype html><script type="module">
        import { audience } from '/audience.js';
        window.finals = [];
        window.members = ${JSON.stringify(HOSTS)}.flatMap((host) => Array.from({ length: ${MEMBERS / HOSTS.length} }, (_, index) => {
          const member = audience('https://' + host + ':${distant}/race?' + index, ${JSON.stringify(WAITS)});
          member.onError(({ message, final }) => { if (final) window.finals.push(message); });
          return member;
        }));
      </script>`,
    });
    const page = await engine.openPage(t);
    await page.goto(site.url('/'));
    const open = () => page.evaluate(() => window.members?.filter(({ state }) => state === 'open').length ?? 0);
    const all = async (what) => {
      let seen;
      await until(`all ${what}`, async () => {
        seen = [await open(), await meter.members('race'), await page.evaluate(() => window.finals)];
        assert.deepEqual(seen[2].slice(0, 3), [], `${seen[2].length} are given up`);
        return (seen[0] === MEMBERS && seen[1] === MEMBERS) || pause(LOOK_MS, false);
      }, BACK_MS).catch((error) => { throw new Error(`${error.message}; open, counted: ${seen.slice(0, 2)}`); });
    };
    await all('to be there');
    const took = [];
    for (let race = 0; race < RACES; race += 1) {
      for (const signal of ['SIGKILL', 'SIGTERM']) {
        await meter.stop(signal);
        await pause(AWAY_MS);
        const begun = performance.now();
        await meter.run();
        await all(`to be back after ${signal} ${race + 1}`);
        took.push((performance.now() - begun) / 1000);
      }
    }
    t.diagnostic(`all ${MEMBERS} back after ${Math.min(...took).toFixed(1)} to ${Math.max(...took).toFixed(1)} s, ${took.length} times`);
    assert.deepEqual(await page.evaluate(() => window.finals), []);
  });
}

/** Starts the proxy as the manual configures it, and says its port. */
async function startProxy(t, { block, placed, around, command }, daemon) {
  const folder = await temporaryFolder(t);
  const { key, cert } = await makeCertificate(t);
  await writeFile(join(folder, 'both.pem'), cert + key);
  const { audience: port } = await freePorts();
  let [, text] = (await readFile(new URL('../../src/manual/proxies.md', import.meta.url), 'utf8')).match(block);
  for (const [from, to] of placed({ port, daemon, folder })) {
    assert.ok(text.includes(from), `${from} is no more in the manual`);
    text = text.replace(from, to);
  }
  const file = join(folder, 'configuration.yml');
  await writeFile(file, around(text, folder));
  const [program, ...args] = command(file, folder, port);
  const proxy = spawn(program, args, { stdio: process.env.METER_PROXY_LOG ? 'inherit' : 'ignore', env: { ...process.env, PATH, HOME: folder } });
  t.after(async () => {
    const gone = once(proxy, 'exit');
    if (proxy.exitCode === null && proxy.kill('SIGKILL')) await gone;
  });
  // Some listen before they know of the daemon.
  await until(`${program} to pass on an answer of the daemon`, () => new Promise((done) => {
    get(`https://127.0.0.1:${port}/`, { rejectUnauthorized: false, agent: false }, (answer) => {
      answer.resume();
      done(answer.statusCode === 200);
    }).on('error', () => done(false));
  }));
  return port;
}

/** Puts all hosts at a distance from the proxy, and says at which port they are. */
async function startDistance(t, proxy) {
  const { audience: port } = await freePorts();
  for (const host of HOSTS) {
    const sockets = new Set();
    const server = createServer((near) => {
      const far = connect(proxy, '127.0.0.1');
      for (const [from, to] of [[near, far], [far, near]]) {
        sockets.add(from);
        from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), DISTANCE_MS));
        from.on('error', () => to.destroy());
        from.on('close', () => setTimeout(() => { to.destroy(); sockets.delete(from); }, DISTANCE_MS));
      }
    });
    server.listen(port, host);
    await once(server, 'listening');
    t.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
  }
  return port;
}
