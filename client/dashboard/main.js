// main.js: joins the parts of the dashboard: the stream's events go to the audience, and once a frame to the screen.
//
// Owns the frame, the choice, which stands in the address, and the times of requests. Keeps: however many events the
// stream brings, they are applied and drawn once a frame, and drawn at all only while the page is visible.

import { Audience } from './audience.js';
import { Detail } from './detail.js';
import { at, say, sayNumber } from './dom.js';
import { Requests, pathTo } from './requests.js';
import { TRACE_S } from './series.js';
import { Feed, drawNodes } from './side.js';
import { sparkline } from './sparkline.js';
import { follow } from './stream.js';
import { Table } from './table.js';
import { brief, clock, countOf, hashOf, nameOf, number } from './text.js';

const TICK_MS = 1_000;
const CLUSTER_MS = 5_000;

/** The page of all is asked for again as often as makes this many bytes a second, and not if it is larger. */
const ALL_MS = 10_000;
const ALL_BYTES_PER_S = 25_000;
const ALL_BYTES_MAX = 4e6;
const STALE_S = 30;

/** The total is announced to a screen reader this often, if it has changed: each time interrupts its reading. */
const SAID_EVERY_MS = 60_000;

/** A lost stream is shown as reconnecting for this long. */
const AWAY_MS = 8_000;

const seconds = () => Date.now() / 1000;

const audience = new Audience();
const requests = new Requests(nextForRows);
const table = new Table({ choose: (name) => { location.hash = hashOf(name); }, scrolled: requestFrame });
const detail = new Detail(audience, requests, requestFrame);
const feed = new Feed(requestFrame);

// ---- The stream, and the frame ----

let pending = new Map();
let lostAt = performance.now();
let refusal;
let isLive = false;
/** Whether the page of all was answered since the stream began. */
let isAllKnown = false;

follow('/?watch=*', {
  open() {
    pending = new Map();
    audience.open();
    isLive = true;
    refusal = undefined;
    sayState();
  },
  event(type, lines) {
    const pairs = lines.map((line) => {
      const end = line.lastIndexOf('=');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    });
    if (type === 'counts') for (const [name, count] of pairs) pending.set(name, count);
    else feed.add(type, pairs, seconds());
    requestFrame();
  },
  lost(answer, until) {
    refusal = answer;
    if (isLive) lostAt = performance.now();
    isLive = false;
    pending = new Map();
    audience.lose(until);
    detail.lose(until);
    sayState();
    requestFrame();
  },
});

let frame = 0;
function requestFrame() {
  // Where nothing is seen there are no frames, but the title is.
  frame ||= document.hidden ? setTimeout(apply, TICK_MS) : requestAnimationFrame(apply);
}

document.addEventListener('visibilitychange', () => {
  (document.hidden ? cancelAnimationFrame : clearTimeout)(frame);
  frame = 0;
  requestFrame();
});

function apply() {
  frame = 0;
  const counts = pending;
  pending = new Map();
  const began = audience.update(counts, seconds());
  if (began) {
    table.reset();
    feed.reset();
    detail.renew();
    isAllKnown = false;
    askAll();
  }
  if (counts.size) audience.sum(seconds());
  if (!isChosen) chooseLargest();
  if (isLive && !audience.isStale) detail.tick(seconds());
  say(document.querySelector('title'), `${audience.total === null ? '' : `${number(audience.total)} · `}Audience Meter`);
  if (!document.hidden) draw();
}

function draw() {
  drawTotals();
  table.draw(audience.namespaces, detail.name);
  detail.draw();
  feed.draw();
  requests.pump();
}

// On paper the table is not scrolled, so more of it is drawn.
for (const [type, isPrinted] of [['beforeprint', true], ['afterprint', false]]) {
  addEventListener(type, () => {
    table.isPrinted = isPrinted;
    draw();
  });
}

setInterval(() => {
  audience.sum(seconds());
  sayState();
  sayTotal();
  requestFrame();
}, TICK_MS);

// ---- What is asked for ----

let allTimer;
/** Figures of rows that are older than this are asked for one by one; never, while all of them are at once. */
let staleS = Infinity;
async function askAll() {
  clearTimeout(allTimer);
  const answer = await requests.ask('/').catch(() => null);
  clearTimeout(allTimer);
  let waitMs = ALL_MS;
  isAllKnown ||= answer !== null;
  if (answer) {
    audience.learnAll(answer.value, seconds());
    audience.sum(seconds());
    waitMs = Math.max(ALL_MS, answer.size / ALL_BYTES_PER_S * 1000);
    requestFrame();
  }
  if (answer?.size > ALL_BYTES_MAX) staleS = STALE_S;
  else allTimer = setTimeout(askAll, waitMs);
}

/** For the rows in sight: the figures of new namespaces, then the last minutes. */
function nextForRows() {
  if (!isLive || !isAllKnown || document.hidden) return null;
  const rows = table.visible;
  const stale = rows.find(({ askedAt }) => askedAt <= seconds() - staleS);
  if (stale) {
    stale.askedAt = seconds();
    const { name, sent } = stale;
    return { path: pathTo('namespace', sent), done: (answer) => audience.learn(name, answer?.value, seconds()) };
  }
  const namespace = rows.find(({ past }) => past === null);
  if (!namespace) return null;
  namespace.past = false;
  return {
    path: pathTo('history', namespace.sent, '.json'),
    done(answer) {
      const minutes = answer?.value.rows.slice(-TRACE_S / 60) ?? [];
      namespace.past = minutes.length ? minutes.flatMap(([time, , average]) => [time, average]) : false;
      requestFrame();
    },
  };
}

async function askCluster() {
  if (!document.hidden) {
    const answer = await requests.ask('/cluster').catch(() => null);
    drawNodes(answer?.value);
    const node = answer?.value.node;
    say(at('node'), node ? `node ${node.slice(0, 8)}` : '', node);
  }
  setTimeout(askCluster, CLUSTER_MS);
}
askCluster();

// ---- The choice ----

let isChosen = false;

function choose(name) {
  if (name === detail.name) return;
  detail.choose(name);
  feed.choose(name);
  at('all').ariaPressed = name === null;
  requestFrame();
}

function chooseByAddress() {
  const name = nameOf(location.hash);
  if (name === undefined) return;
  isChosen = true;
  choose(name);
}

addEventListener('hashchange', () => {
  chooseByAddress();
  // Where it is not beside the table.
  if (matchMedia('(max-width: 60rem)').matches) at('detail').scrollIntoView();
});

/** Without a choice in the address, the largest namespace is chosen, and stays so once all counts have arrived. */
function chooseLargest() {
  let largest = null;
  for (const namespace of audience.namespaces.values()) {
    if (namespace.members > (largest?.members ?? 0)) largest = namespace;
  }
  isChosen = largest !== null && isAllKnown;
  choose(largest?.name ?? null);
}

at('all').addEventListener('click', () => { location.hash = hashOf(null); });

// ---- What is said ----

function drawTotals() {
  const { total, sums, namespaces, recorder } = audience;
  const text = number(total ?? NaN);
  say(at('total'), text);
  at('total').style.setProperty('--digits', text.length);
  sayNumber(at('occupied'), sums.occupied);
  say(at('known'), `of ${number(namespaces.size)} known`);
  say(at('connections'), brief(sums.connections), number(sums.connections));
  say(at('largest'), sums.largest ? brief(sums.largest.peak) : '–');
  say(at('largest-of'), sums.largest ? `${sums.largest.shown}, ${clock(sums.largest.peakAt)}` : 'in one namespace', sums.largest?.name ?? '');
  sayNumber(at('uncounted'), sums.uncounted);
  const points = recorder.points.filter(([, value]) => value !== null).flat();
  sparkline(at('total-trend'), { trace: { points } }, Math.max(60, seconds() - points[0]));
  const isEmpty = namespaces.size === 0 && audience.total === 0;
  at('empty').hidden = !isEmpty;
  // A daemon that was restarted has no members for a moment: what is hidden loses the focus.
  at('grid').hidden = isEmpty && !at('grid').contains(document.activeElement);
  if (isEmpty) showWay();
}

function sayState() {
  const isAway = !isLive && performance.now() - lostAt > AWAY_MS;
  const state = isLive ? 'live' : isAway ? 'away' : 'lost';
  if (document.body.dataset.state !== state) document.body.dataset.state = state;
  const lost = audience.total === null ? 'Connecting' : 'Reconnecting';
  const away = refusal ? 'Refused' : 'Server away';
  say(at('state'), { live: 'Live', lost, away }[state], refusal ?? '');
}

let saidAt = -Infinity;
function sayTotal() {
  if (audience.total === null || performance.now() - saidAt < SAID_EVERY_MS) return;
  saidAt = performance.now();
  say(at('said'), `${countOf(audience.total, 'member')} now`);
}

// ---- The keyboard, the colours, the way to join ----

addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input:not([type=radio], [type=checkbox])')) return;
  event.preventDefault();
  at('search').focus();
  at('search').select();
});

const THEME = 'audience-meter-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const kept = (change) => {
  try {
    return change(localStorage);
  } catch {
    return null;
  }
};

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const isDark = theme ? theme === 'dark' : dark.matches;
  at('theme').ariaPressed = isDark;
}
setTheme(kept((storage) => storage.getItem(THEME)));
dark.addEventListener('change', () => setTheme(document.documentElement.dataset.theme));
at('theme').addEventListener('click', () => {
  const theme = at('theme').ariaPressed === 'true' ? 'light' : 'dark';
  setTheme(theme);
  kept((storage) => storage.setItem(THEME, theme));
});

/** Shows how to join, when it is first asked for: where, the process knows. */
let isWayShown = false;
async function showWay() {
  if (isWayShown) return;
  isWayShown = true;
  const answer = await requests.ask('/process').catch(() => null);
  const port = answer?.value.audience_port ?? 80;
  say(at('command'), `curl -N -H 'Accept: text/event-stream' http://${location.hostname}${port === 80 ? '' : `:${port}`}/my-event`);
}

chooseByAddress();
