// detail.js: the chosen namespace: its figures, its chart and how long people stayed.
//
// Owns what is kept of the chosen one alone: its recorder, its history and its page. Does not know: how it was chosen. All
// events together (`null`) are chosen like one namespace, and have no history.

import { Chart } from './chart.js';
import { at, element, say, sayNumber } from './dom.js';
import { pathTo } from './requests.js';
import { Recorder } from './series.js';
import { brief, clock, countOf, duration, number, readable } from './text.js';

/** How often the page and the history of the chosen one are asked for. */
const PAGE_MS = 5_000;
const HISTORY_MS = 60_000;

const SPANS_S = { '1h': 3_600, '6h': 21_600, '24h': 86_400 };

export class Detail {
  #audience;
  #requests;
  #chart;
  #name;
  #recorder = new Recorder();
  #page = null;
  /** `null` before it was asked for, `false` where there is none. */
  #rows = null;
  #askedAt = { page: -Infinity, history: -Infinity };
  #spanS = SPANS_S['1h'];
  /** Which one the links are of. */
  #linked;

  constructor(audience, requests, requestDraw) {
    this.#audience = audience;
    this.#requests = requests;
    this.#chart = new Chart(requestDraw);
    for (const input of at('spans').querySelectorAll('input')) {
      input.addEventListener('change', () => {
        this.#spanS = SPANS_S[input.value];
        requestDraw();
      });
    }
    at('stays').append(...Array.from({ length: 16 }, (_, bucket) => element('li', {},
      element('i'), element('small', { textContent: boundOf(bucket) }))));
  }

  get name() {
    return this.#name;
  }

  /** Shows this one from now on. */
  choose(name) {
    this.#name = name;
    this.#page = this.#rows = null;
    this.#recorder = name === null ? this.#audience.recorder : new Recorder();
    const { points } = this.#audience.namespaces.get(name)?.trace ?? { points: [] };
    for (let place = 0; place < points.length; place += 2) this.#recorder.note(points[place], points[place + 1]);
    this.renew();
  }

  /** Its figures are asked for again. */
  renew() {
    this.#askedAt = { page: -Infinity, history: -Infinity };
    this.#sayLinks();
  }

  /** Its name on the pages. */
  get #sent() {
    return this.#audience.namespaces.get(this.#name)?.sent ?? this.#name;
  }

  lose(seconds) {
    if (this.#name !== null) this.#recorder.note(seconds, null);
  }

  /** Takes in new counts, and asks for the pages that are due. */
  tick(seconds) {
    const name = this.#name;
    if (name === undefined) return;
    if (name !== null) this.#recorder.note(seconds, this.#audience.namespaces.get(name)?.members ?? 0);
    if (name === null || document.hidden) return;
    this.#sayLinks();
    this.#ask('page', PAGE_MS, pathTo('namespace', this.#sent), (answer) => {
      this.#page = answer?.value ?? null;
      this.#audience.learn(name, this.#page, seconds);
    });
    this.#ask('history', HISTORY_MS, pathTo('history', this.#sent, '.json'), (answer) => {
      this.#rows = answer?.value.rows ?? false;
    });
  }

  async #ask(what, everyMs, path, done) {
    const now = performance.now();
    if (now - this.#askedAt[what] < everyMs) return;
    this.#askedAt[what] = now;
    const name = this.#name;
    const answer = await this.#requests.ask(path).catch(() => undefined);
    if (answer !== undefined && name === this.#name) done(answer);
  }

  draw() {
    if (this.#name === undefined) return;
    const { audience, of } = { audience: this.#audience, of: this.#figures() };
    say(at('chosen'), of.shown, this.#name ?? undefined);
    sayNumber(at('now'), of.members);
    sayNumber(at('peak'), of.peak);
    say(at('peak-at'), clock(of.peakAt));
    sayNumber(at('average'), of.average);
    say(at('watch'), duration(of.watch));
    say(at('hours'), brief(of.memberSeconds / 3600));
    sayNumber(at('joined'), of.connections);
    sayNumber(at('people'), of.people ?? NaN);
    say(at('people-error'), of.peopleError ? `± ${brief(of.peopleError)}` : '');
    say(at('since'), this.#name === null ? `in ${countOf(audience.namespaces.size, 'namespace')}` : of.created ? `since ${clock(of.created)}` : 'not begun');
    say(at('peak-word'), this.#name === null ? 'Most seen' : 'Peak');
    const hasHistory = Boolean(this.#rows);
    say(at('note'), this.#name === null ? 'Live, since this page was opened'
      : hasHistory ? '' : this.#rows === null ? 'Asking for its history' : 'No history is kept of it: live, since this page was opened');
    const last = hasHistory ? this.#rows.at(-1)?.[0] ?? 0 : 0;
    const rows = [...(this.#rows || []), ...this.#recorder.rows.filter(([minute]) => minute > last)];
    const peak = this.#name === null ? {} : { value: of.peak, at: of.peakAt };
    this.#chart.draw({ rows, points: this.#recorder.points, spanS: this.#spanS, peak });
    this.#drawStays(of.stays);
  }

  #figures() {
    const { sums, most, total, stays, namespaces } = this.#audience;
    if (this.#name !== null) {
      const known = namespaces.get(this.#name) ?? { members: 0, shown: readable(this.#name) };
      return { ...known, stays: this.#page?.stays };
    }
    const watch = sums.memberSeconds / sums.connections;
    return { shown: 'All events', members: total ?? NaN, ...most, average: NaN, watch, stays, ...sums };
  }

  #drawStays(stays = []) {
    const sum = stays.reduce((a, b) => a + b, 0);
    const most = Math.max(...stays, 1);
    let below = 0;
    let median;
    for (const [bucket, item] of [...at('stays').children].entries()) {
      const count = stays[bucket] ?? 0;
      below += count;
      if (median === undefined && sum && below * 2 >= sum) median = bucket;
      const share = sum ? Math.round(count / sum * 100) : 0;
      const range = bucket === 0 ? 'below 1 s' : bucket === 15 ? `${boundOf(15)} and longer` : `${boundOf(bucket)} to ${boundOf(bucket + 1)}`;
      item.firstChild.style.setProperty('--share', count ? Math.max(count / most, 0.02) : 0);
      item.classList.toggle('median', bucket === median);
      const title = `${range}: ${countOf(count, 'stay')}, ${share} %`;
      if (item.title !== title) item.title = item.ariaLabel = title;
    }
    say(at('stayed'), sum ? `${sum === 1 ? '1 has left' : `${number(sum)} have left, half of them`} after ${boundOf(median)}${median < 15 ? ` to ${boundOf(median + 1)}` : ' or more'}` : 'No departures yet');
  }

  #sayLinks() {
    const sent = this.#sent;
    at('links').hidden = sent === null;
    if (sent === null || sent === this.#linked) return;
    this.#linked = sent;
    for (const link of at('links').querySelectorAll('a')) {
      const { folder, ending } = link.dataset;
      link.href = pathTo(folder, sent, ending);
      if (link.download) link.download = `${sent}${ending}`;
    }
  }
}

/** The shortest stay of this bucket, in seconds. */
function boundOf(bucket) {
  if (bucket === 0) return '0 s';
  const seconds = 2 ** (bucket - 1);
  return seconds < 3600 ? duration(seconds < 60 ? seconds : Math.floor(seconds / 60) * 60) : duration(seconds);
}
