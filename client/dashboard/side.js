// side.js: what stands beside the namespaces: the nodes of the cluster, and the feed of milestones. Owns no figures.

import { at, element, say, svg } from './dom.js';
import { clockWithSeconds, countOf, duration, hashOf, number, readable } from './text.js';

/** How many are remembered, of all and of the chosen one. */
const MILESTONES_MAX = 50;

/** Shows the page `/cluster`; `null` when it cannot be asked. */
export function drawNodes(cluster) {
  at('nodes').classList.toggle('away', !cluster);
  if (!cluster) return;
  const { node: own, members, silent, datagrams, troubles } = cluster;
  // The page has the number of silent nodes: they are the ones with the longest silence.
  const quietest = members.toSorted((a, b) => b.silent_ms - a.silent_ms).slice(0, silent.nodes);
  const most = Math.max(1, ...members.map((node) => node.members));
  // What needs a look is first, for the list may be longer than its box.
  const rank = (node) => [quietest.includes(node), node.draining, node.node === own, true].indexOf(true);
  const nodes = members.toSorted((a, b) => rank(a) - rank(b) || (a.node < b.node ? -1 : 1)).map((node) => {
    const isSilent = quietest.includes(node);
    const [state, className] = isSilent ? [`silent for ${number(node.silent_ms / 1000)} s`, 'silent']
      : node.draining ? ['lets its members go', 'draining'] : node.node === own ? ['answers', 'own'] : ['alive', ''];
    const item = element('li', { className },
      element('code', { textContent: node.node.slice(0, 8), title: node.node }),
      element('span', { textContent: state }),
      element('b', { textContent: countOf(node.members, 'member') }),
      element('i'));
    item.lastChild.style.width = `${node.members / most * 100}%`;
    return item;
  });
  at('node-list').replaceChildren(...nodes);
  const dropped = Object.values(datagrams.dropped).reduce((a, b) => a + b, 0);
  say(at('datagrams'), `Datagrams of the one that answers: ${number(datagrams.sent)} sent, ${number(datagrams.received)} received, ${
    number(dropped)} dropped, ${number(datagrams.overflowed)} lost here, ${number(datagrams.send_errors)} not sent`);
  const kinds = [...Map.groupBy(troubles, (trouble) => trouble.kind).values()];
  at('troubles').replaceChildren(...kinds.map(troubleItem));
  // Without the time and the number, which a screen reader would say again and again.
  say(at('trouble-said'), kinds.map(([{ kind, remedy }]) => `${titleOf(kind)}: ${remedy}.`).join(' '));
  const marks = [silent.nodes && `${number(silent.nodes)} silent`, kinds.length && countOf(kinds.length, 'trouble')];
  say(at('node-count'), [number(members.length), ...marks.filter(Boolean)].join(', '));
  at('nodes').classList.toggle('warned', marks.some(Boolean));
}

/** All places of a kind of trouble, and what ends it. */
function troubleItem(places) {
  const [{ kind, remedy }] = places;
  const from = places.map(({ address, node, skew_ms: skew }) => [
    address ?? 'others', node && `node ${node.slice(0, 8)}`, skew && `${number(skew / 1000)} s off`,
  ].filter(Boolean).join(' '));
  const since = Math.max(...places.map((place) => place.since_s));
  return element('li', {},
    element('b', { textContent: titleOf(kind) }),
    element('span', { textContent: `${from.join(', ')}; for ${duration(since)}` }),
    element('p', { textContent: `${remedy[0].toUpperCase()}${remedy.slice(1)}.` }));
}

/** `clock_skew` as `Clock skew`. */
function titleOf(kind) {
  return kind[0].toUpperCase() + kind.slice(1).replaceAll('_', ' ');
}

/** What an event of the stream says, and its sign. */
const KINDS = {
  occupied: ['M3 8h8M8 4l4 4-4 4', () => 'a first member'],
  vacated: ['M13 8H5M8 4L4 8l4 4', () => 'all have left'],
  peak: ['M2 12l4-7 3 4 2-3 3 6', (count) => `peak of ${number(count)}`],
  up: ['M8 13V4M4 8l4-4 4 4', (count, mark) => `reached ${number(mark)}`],
  down: ['M8 3v9M4 8l4 4 4-4', (count, mark) => `below ${number(mark)} again`],
};

export class Feed {
  #all = [];
  #chosen = { name: undefined, milestones: [] };
  #isDrawn = true;

  constructor(requestDraw) {
    at('only').addEventListener('change', () => {
      this.#isDrawn = false;
      requestDraw();
    });
  }

  /** From now on more is remembered of this one. */
  choose(name) {
    this.#chosen = { name, milestones: this.#all.filter((milestone) => milestone.name === name) };
    this.#isDrawn = false;
  }

  reset() {
    this.#all = [];
    this.choose(this.#chosen.name);
  }

  /** Takes in an event of the stream; of many at once, the last ones. */
  add(type, pairs, seconds) {
    const mark = type.startsWith('crossed ') ? Number(type.slice(8)) : undefined;
    if (!Object.hasOwn(KINDS, type) && !(mark > 0)) return;
    const milestone = ([name, count]) => {
      const kind = mark === undefined ? type : count >= mark ? 'up' : 'down';
      return { name: name === '*' ? null : name, count, mark, kind, seconds };
    };
    const latest = pairs.slice(-MILESTONES_MAX).reverse().map(milestone);
    this.#all = latest.concat(this.#all).slice(0, MILESTONES_MAX);
    const { name, milestones } = this.#chosen;
    const its = pairs.filter((pair) => pair[0] === (name ?? '*')).reverse().map(milestone);
    this.#chosen.milestones = its.concat(milestones).slice(0, MILESTONES_MAX);
    this.#isDrawn = false;
  }

  /** Makes elements only of what was not shown yet. */
  draw() {
    if (this.#isDrawn) return;
    this.#isDrawn = true;
    const shown = new Map([...at('feed').children].map((item) => [item.milestone, item]));
    const milestones = at('only').checked ? this.#chosen.milestones : this.#all;
    at('feed').replaceChildren(...milestones.map((milestone) => shown.get(milestone) ?? feedItem(milestone)));
  }
}

function feedItem(milestone) {
  const { name, count, mark, kind, seconds } = milestone;
  const [path, words] = KINDS[kind];
  const shown = name === null ? 'All events' : readable(name);
  return element('li', { milestone, className: kind },
    svg('svg', { viewBox: '0 0 16 16', 'aria-hidden': true }, svg('path', { d: path })),
    element('a', { href: hashOf(name), title: name ?? '' }, element('bdi', { textContent: shown })),
    element('span', { textContent: words(count, mark) }),
    element('time', { textContent: clockWithSeconds(seconds) }));
}
