// table.js: all namespaces, sorted and searched, as rows that are made for what is in sight only.
//
// Owns the order, the search, the cursor and the elements. Keeps: as many row elements as fit, however many namespaces, in
// the document as they are seen, for that is how a screen reader reads them; a row does not move under a pointer that moves, or
// on which the focus came to it, more often than once in `HELD_MS`; the cursor keeps its name while its row is missing, and
// its place among the names.

import { at, element, say, svg } from './dom.js';
import { sparkline } from './sparkline.js';
import { brief, clock, duration, number, when } from './text.js';

export const ROW_PX = 36;
const OVERSCAN = 4;

/** Rows on paper. */
const PRINTED_MAX = 200;

/** How long the order is held while the pointer or the keyboard is among the rows, and after each move of theirs. */
const HELD_MS = 4_000;
const STILL_MS = 1_500;
const GLIDE_MS = 300;

/** Sorting takes this part of the time at most. */
const SORT_SHARE = 0.05;

/** The value that a column sorts by, by the column's key. */
const VALUES = {
  members: (namespace) => namespace.members,
  peak: (namespace) => namespace.peak,
  peakAt: (namespace) => namespace.peakAt,
  connections: (namespace) => namespace.connections,
  watch: (namespace) => namespace.watch,
};

export class Table {
  #grid = at('grid');
  #body = at('rows');
  #choose;
  #chosen;
  #list = [];
  #namespaces = new Map();
  #query = '';
  #column = 'members';
  #isDown = true;
  #cursor = null;
  #rows = new Map();
  #spare = [];
  #orderedAt = -Infinity;
  #orderMs = 0;
  #movedAt = -Infinity;
  #glide;
  isPrinted = false;

  /** `choose(name)` is called for a row that is taken, `scrolled()` when others are in sight. */
  constructor({ choose, scrolled }) {
    this.#choose = choose;
    this.#grid.addEventListener('scroll', scrolled, { passive: true });
    new ResizeObserver(scrolled).observe(this.#grid);
    for (const type of ['pointermove', 'wheel', 'pointerdown']) {
      this.#body.addEventListener(type, () => { this.#movedAt = performance.now(); }, { passive: true });
    }
    this.#grid.addEventListener('keydown', (event) => this.#key(event));
    this.#body.addEventListener('click', ({ target }) => {
      const namespace = target.closest('.row')?.namespace;
      if (!namespace) return;
      this.#cursor = namespace;
      choose(namespace.name);
    });
    for (const button of this.#grid.querySelectorAll('button')) {
      button.addEventListener('click', () => this.#sortBy(button.dataset.by, scrolled));
    }
    at('search').addEventListener('input', ({ target }) => {
      this.#query = target.value.trim().toLowerCase();
      this.#orderedAt = -Infinity;
      this.#grid.scrollTop = 0;
      scrolled();
    });
    at('search').addEventListener('keydown', (event) => this.#keyInSearch(event));
    this.#sayOrder();
  }

  /** Shows these, `chosen` being marked. */
  draw(namespaces, chosen) {
    this.#chosen = chosen;
    this.#namespaces = namespaces;
    // It may have been made anew.
    this.#cursor = namespaces.get(this.#cursor?.name) ?? this.#cursor;
    if (this.#isTimeToOrder()) this.#order();
    this.#drawRows();
  }

  /** Those that are in sight, from the top. */
  get visible() {
    return [...this.#rows.keys()];
  }

  /** Forgets the order, when all that was known is. */
  reset() {
    this.#orderedAt = -Infinity;
    this.#list = [];
  }

  // ---- The order ----

  #isTimeToOrder() {
    const now = performance.now();
    const isAmong = this.#body.matches(':hover') || this.#grid.matches(':focus-visible');
    const heldMs = isAmong ? HELD_MS : 900;
    if (this.#orderedAt === -Infinity) return true;
    if (isAmong && now - this.#movedAt < STILL_MS) return false;
    return now - this.#orderedAt > Math.max(heldMs, this.#orderMs / SORT_SHARE);
  }

  #order() {
    const began = performance.now();
    const list = [];
    for (const namespace of this.#namespaces.values()) {
      if (this.#isFound(namespace)) list.push(namespace);
    }
    list.sort(this.#comparison());
    const isMoved = this.#orderedAt > -Infinity && this.visible.some((namespace) => list[this.#rows.get(namespace).index] !== namespace);
    this.#list = list;
    this.#orderedAt = performance.now();
    this.#orderMs = this.#orderedAt - began;
    if (isMoved) this.#startGlide();
  }

  #isFound({ key, name }) {
    return key.includes(this.#query) || name.includes(this.#query);
  }

  /** How two namespaces are ordered by the column that was chosen. */
  #comparison() {
    const value = VALUES[this.#column];
    const sign = this.#isDown ? -1 : 1;
    const byName = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.name < b.name ? -1 : 1);
    if (!value) return (a, b) => sign * byName(a, b);
    // What is not known is last, whichever way.
    const known = (number) => (Number.isFinite(number) ? number : -sign * Infinity);
    return (a, b) => {
      const [x, y] = [known(value(a)), known(value(b))];
      return x === y ? byName(a, b) : x < y ? -sign : sign;
    };
  }

  /** Rows glide to where they belong, but follow the scroll bar at once. */
  #startGlide() {
    this.#body.classList.add('gliding');
    clearTimeout(this.#glide);
    this.#glide = setTimeout(() => {
      this.#body.classList.remove('gliding');
      this.#putInOrder();
    }, GLIDE_MS);
  }

  #sortBy(column, drawn) {
    this.#isDown = column === this.#column ? !this.#isDown : column !== 'name';
    this.#column = column;
    this.#orderedAt = -Infinity;
    this.#sayOrder();
    drawn();
  }

  #sayOrder() {
    for (const button of this.#grid.querySelectorAll('button')) {
      const isIt = button.dataset.by === this.#column;
      button.parentElement.ariaSort = isIt ? (this.#isDown ? 'descending' : 'ascending') : 'none';
    }
  }

  // ---- The rows ----

  #drawRows() {
    const list = this.#list;
    const [first, end] = this.#range();
    const wanted = new Set(list.slice(first, end));
    for (const [namespace, row] of this.#rows) {
      if (wanted.has(namespace)) continue;
      this.#rows.delete(namespace);
      this.#spare.push(row);
    }
    let index = first;
    for (const namespace of wanted) {
      let row = this.#rows.get(namespace);
      if (!row) {
        row = this.#spare.pop() ?? makeRow(this.#body);
        row.namespace = namespace;
        // A row that was another's does not glide to its place.
        row.style.transition = 'none';
        this.#rows.set(namespace, row);
      } else if (row.style.transition) {
        row.style.transition = '';
      }
      this.#fill(row, namespace, index);
      index += 1;
    }
    for (const row of this.#spare) retire(row);
    this.#putInOrder();
    this.#body.style.height = `${list.length * ROW_PX}px`;
    this.#grid.ariaRowCount = list.length + 1;
    const cursor = this.#rows.get(this.#cursor);
    if (cursor) this.#grid.setAttribute('aria-activedescendant', cursor.id);
    else this.#grid.removeAttribute('aria-activedescendant');
    say(at('found'), this.#query ? `${number(list.length)} of ${number(this.#namespaces.size)}` : number(list.length));
    at('nothing').hidden = list.length > 0 || !this.#query;
  }

  /** The rows in sight and some more, from one to before another. */
  #range() {
    if (this.isPrinted) return [0, PRINTED_MAX];
    const { scrollTop, clientHeight } = this.#grid;
    const first = Math.max(Math.floor(scrollTop / ROW_PX) - OVERSCAN, 0);
    return [first, Math.ceil((scrollTop + clientHeight) / ROW_PX) + OVERSCAN];
  }

  /** Not while rows glide: one that is put elsewhere is there at once. */
  #putInOrder() {
    if (this.#body.classList.contains('gliding')) return;
    const rows = [...this.#rows.values()].sort((a, b) => a.index - b.index);
    for (const [place, row] of rows.entries()) {
      const before = rows[place - 1];
      const isBehind = before?.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING;
      if (before && !isBehind) before.after(row);
    }
  }

  #fill(row, namespace, index) {
    if (row.index !== index) {
      row.index = index;
      row.id = `row-${index}`;
      row.ariaRowIndex = index + 2;
      row.style.transform = `translateY(${index * ROW_PX}px)`;
    }
    row.hidden = false;
    row.ariaSelected = namespace.name === this.#chosen;
    row.classList.toggle('cursor', namespace === this.#cursor);
    row.classList.toggle('empty', !namespace.members);
    const [name, trend, members, peak, peakAt, connections, watch] = row.children;
    say(name.firstChild, namespace.shown, namespace.name);
    sparkline(trend.firstChild.firstChild, namespace);
    say(members, brief(namespace.members));
    say(peak, brief(namespace.peak));
    say(peakAt, when(namespace.peakAt), clock(namespace.peakAt));
    say(connections, brief(namespace.connections));
    say(watch, duration(namespace.watch));
  }

  // ---- The keyboard ----

  #key(event) {
    if (event.target !== this.#grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(Math.floor(this.#grid.clientHeight / ROW_PX) - 2, 1);
    // The row may have arrived since the order was made.
    if (this.#isRowMissing() && this.#namespaces.has(this.#cursor.name)) this.#order();
    const index = this.#list.indexOf(this.#cursor);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      const from = index < 0 ? this.#firstBelow() - (steps[event.key] > 0) : index;
      this.#moveTo(from + steps[event.key]);
    } else if ((event.key === 'Enter' || event.key === ' ') && index >= 0) {
      event.preventDefault();
      this.#choose(this.#cursor.name);
    }
  }

  /** Whether the cursor's row belongs in the list and is not in it. */
  #isRowMissing() {
    return this.#cursor !== null && this.#isFound(this.#cursor) && !this.#list.includes(this.#cursor);
  }

  /** The index of the first row below the cursor's missing one; without such, of the first in sight. */
  #firstBelow() {
    if (!this.#isRowMissing()) return Math.ceil(this.#grid.scrollTop / ROW_PX);
    const compare = this.#comparison();
    const index = this.#list.findIndex((namespace) => compare(this.#cursor, namespace) < 0);
    return index < 0 ? this.#list.length : index;
  }

  #keyInSearch(event) {
    if (event.key === 'Escape' && event.target.value) {
      event.target.value = '';
      event.target.dispatchEvent(new Event('input'));
    } else if (event.key === 'ArrowDown' || event.key === 'Enter') {
      event.preventDefault();
      this.#grid.focus();
      this.#moveTo(0);
      if (event.key === 'Enter' && this.#cursor) this.#choose(this.#cursor.name);
    }
  }

  #moveTo(index) {
    if (this.#orderedAt === -Infinity) this.#order();
    const at = Math.max(Math.min(index, this.#list.length - 1), 0);
    this.#cursor = this.#list[at] ?? null;
    this.#movedAt = performance.now();
    const head = this.#body.offsetTop;
    const { scrollTop, clientHeight } = this.#grid;
    const [top, bottom] = [at * ROW_PX, (at + 1) * ROW_PX + head - clientHeight];
    this.#grid.scrollTop = Math.min(Math.max(scrollTop, bottom), top);
    this.#drawRows();
  }
}

/** A search of the page must not find this row until it has a new namespace. */
function retire(row) {
  row.hidden = true;
  row.index = undefined;
  row.removeAttribute('id');
}

function makeRow(body) {
  const cell = (className, ...children) => element('div', { className, role: 'gridcell' }, ...children);
  const row = element('div', { className: 'row', role: 'row' },
    cell('name', element('bdi')),
    cell('trend', svg('svg', { viewBox: '0 0 96 24', 'aria-hidden': true }, svg('path', {}))),
    ...['members', 'peak', 'peak-at', 'connections', 'watch'].map((name) => cell(name)));
  body.append(row);
  return row;
}
