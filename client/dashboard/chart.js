// chart.js: the large chart: how a total went over time, its peak, and arrivals and departures below.
//
// Owns the drawing and the cross-hair. A minute is drawn as a band from the least to the most and a line of the average,
// the last minutes, where the stream brought them live, exactly. Does not know: which total it is.

import { at, element, say, svg } from './dom.js';
import { FINE_S } from './series.js';
import { brief, clock, clockWithSeconds, countOf, hourAndMinute, narrow, number, zone } from './text.js';

const MARGIN = { top: 26, right: 14, bottom: 22, left: 58 };
const BARS_PX = 44;
const BARS_GAP_PX = 12;

/** A chart of something that has just begun is this wide at least. */
const SPAN_MIN_S = 120;

/** Minutes that are drawn as one, where there are more than room for. */
const MERGED = [1, 2, 5, 10, 15, 30, 60];
const MERGED_PX = 2.5;

const TIME_STEPS_S = [60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600];
const TIME_STEP_PX = 74;

/** A peak's time is of whole seconds, and the stream may bring it a round later. */
const PEAK_NEAR_S = 2;

/** What the name of the time zone takes, at the left of the times. */
const ZONE_PX = 62;

export class Chart {
  #svg = at('chart');
  #tip = at('tip');
  #drawn = null;
  /** Where the cross-hair is, in seconds. */
  #hair = null;

  constructor(requestDraw) {
    const move = (seconds) => {
      this.#hair = seconds;
      requestDraw();
    };
    new ResizeObserver(requestDraw).observe(this.#svg);
    for (const type of ['pointermove', 'pointerdown']) {
      this.#svg.addEventListener(type, ({ clientX }) => {
        if (this.#drawn) move(this.#drawn.secondsAt(clientX - this.#svg.getBoundingClientRect().left));
      });
    }
    // A finger that was lifted has pointed at something; one that scrolls has not.
    this.#svg.addEventListener('pointerleave', ({ pointerType }) => { if (pointerType !== 'touch') move(null); });
    this.#svg.addEventListener('pointercancel', () => move(null));
    this.#svg.addEventListener('blur', () => move(null));
    this.#svg.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !this.#drawn) return;
      event.preventDefault();
      const { now, stepS } = this.#drawn;
      move(Math.min((this.#hair ?? now) + step * stepS, now));
    });
  }

  /** `rows` as in a history, `points` as of a recorder; `peak` is `{ value, at }`, of all time. */
  draw({ rows, points, spanS, peak }) {
    const now = Date.now() / 1000;
    const { width, height } = this.#svg.getBoundingClientRect();
    if (!width) return;
    const isFine = spanS <= 3600;
    const fineFrom = isFine ? Math.max(now - FINE_S, points[0]?.[0] ?? now) : (rows.at(-1)?.[0] ?? 0) + 60;
    const begun = Math.min(rows[0]?.[0] ?? now, points[0]?.[0] ?? now);
    const from = Math.min(Math.max(now - spanS, begun), now - SPAN_MIN_S);
    const plot = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, width, height };
    const scaleX = (plot.right - plot.left) / (now - from);
    const x = (seconds) => plot.left + (Math.max(seconds, from) - from) * scaleX;
    const merged = MERGED.find((minutes) => minutes * 60 * scaleX >= MERGED_PX) ?? MERGED.at(-1);
    const minutes = mergedRows(rows, merged, from, now);
    const hasBars = minutes.some(({ joins }) => joins !== null);
    plot.bottom = height - MARGIN.bottom - (hasBars ? BARS_PX + BARS_GAP_PX : 0);
    const band = minutes.filter(({ start }) => start < fineFrom).map((row) => ({ ...row, end: Math.min(row.end, fineFrom) }));
    const lines = linesOf(points, Math.max(from, fineFrom), now);
    const values = [...band.flatMap(({ least, most }) => [least, most]), ...lines.flat().map(([, value]) => value)];
    const top = highest(band, lines, peak, from);
    // It may be of a minute whose row was not asked for since.
    const scale = scaleOf(top.value > 0 ? [...values, top.value] : values);
    const y = (value) => plot.bottom - (value - scale.low) / (scale.high - scale.low) * (plot.bottom - plot.top);

    const parts = [gradient(), ...grid(scale, y, plot, values.length), ...timeAxis(from, now, x, plot)];
    parts.push(...bandParts(band, lines[0]?.[0], x, y, plot.bottom), ...lineParts(lines, x, y, plot.bottom));
    if (hasBars) parts.push(...barParts(minutes, x, height - MARGIN.bottom - BARS_PX / 2));
    at('moves').hidden = !hasBars;
    say(at('per'), merged > 1 ? `in ${merged} minutes` : 'in a minute');
    const last = lines.at(-1)?.at(-1);
    if (last?.[0] === now) parts.push(svg('circle', { class: 'now', cx: x(now), cy: y(last[1]), r: 4.5 }));
    parts.push(...peakParts(top, x, y, plot));
    this.#drawn = {
      now, stepS: merged * 60, secondsAt: (left) => Math.min(Math.max(from + (left - plot.left) / scaleX, from), now),
    };
    parts.push(...this.#hairParts({ minutes: band, lines, fineFrom, top, x, y, plot }));
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...parts);
    const range = values.length ? `${number(Math.min(...values))} to ${number(Math.max(...values))} members` : 'nothing yet';
    const most = top.value > 0 ? `; ${labelOf(top)}` : '';
    this.#svg.ariaLabel = `From ${clock(from)} to ${clock(now)}, ${zone(now)}: ${range}${most}`;
  }

  #hairParts({ minutes, lines, fineFrom, top, x, y, plot }) {
    const hair = this.#hair;
    this.#tip.hidden = true;
    if (hair === null) return [];
    let tip;
    if (hair >= fineFrom) {
      const [, value] = lines.flat().findLast(([seconds]) => seconds <= hair) ?? [];
      if (value === undefined) return [];
      tip = { at: hair, value, lines: [['h4', clockWithSeconds(hair)], ['b', countOf(value, 'member')]] };
    } else {
      const minute = minutes.findLast(({ start }) => start <= hair) ?? minutes[0];
      if (!minute) return [];
      const { start, end, least, average, most, joins, leaves } = minute;
      tip = { at: (start + end) / 2, value: average, lines: [
        ['h4', end - start > 60 ? `${clock(start)} – ${hourAndMinute(end)}` : clock(start)],
        ['b', countOf(average, 'member')], ['span', `${number(least)} to ${number(most)}`],
        ...(joins === null ? [] : [['span', `${number(joins)} came, ${number(leaves)} left`]]),
      ] };
    }
    const left = x(tip.at);
    this.#tip.replaceChildren(...tip.lines.map(([tag, textContent]) => element(tag, { textContent })));
    this.#tip.hidden = false;
    const tipWidth = this.#tip.offsetWidth;
    // Not over the peak, if there is room beside it.
    const isLeft = left + 14 + tipWidth > plot.width || (top.at > tip.at && left - 14 - tipWidth > 0);
    this.#tip.style.transform = `translate(${Math.max(isLeft ? left - 14 - tipWidth : left + 14, 0)}px, ${plot.top}px)`;
    say(at('hair'), this.#svg.matches(':focus-visible') ? tip.lines.map(([, text]) => text).join(', ') : '');
    return [
      svg('line', { class: 'hair', x1: left, x2: left, y1: plot.top, y2: plot.height - MARGIN.bottom }),
      svg('circle', { class: 'hair-at', cx: left, cy: y(tip.value), r: 4 }),
    ];
  }
}

/** Rows of a time, `minutes` of them as one; they begin at the clock's multiples. The last one goes on. */
function mergedRows(rows, minutes, from, now) {
  const merged = [];
  const lengthS = minutes * 60;
  for (const [time, least, average, most, joins, leaves] of rows) {
    if (time + 60 <= from) continue;
    const start = Math.floor(time / lengthS) * lengthS;
    const last = merged.at(-1);
    if (last?.start === start) {
      last.average = (last.average * last.rows + average) / (last.rows + 1);
      last.rows += 1;
      last.least = Math.min(last.least, least);
      last.most = Math.max(last.most, most);
      if (joins !== null) [last.joins, last.leaves] = [last.joins + joins, last.leaves + leaves];
    } else {
      merged.push({ start, end: Math.min(start + lengthS, now), least, average, most, joins, leaves, rows: 1 });
    }
  }
  return merged;
}

/** The live values from a time on, one run for each stretch between two losses. */
function linesOf(points, from, now) {
  const lines = [[]];
  for (const [index, [seconds, value]] of points.entries()) {
    const next = points[index + 1]?.[0] ?? now;
    if (next <= from) continue;
    if (value === null) {
      lines.push([]);
      continue;
    }
    lines.at(-1).push([Math.max(seconds, from), value]);
    if (index + 1 === points.length || points[index + 1][1] === null) lines.at(-1).push([next, value]);
  }
  return lines.filter((line) => line.length);
}

/** Whole numbers, some four of them, around all values. One more or less is no mountain, and 0 is shown if it is near. */
function scaleOf(values) {
  const least = values.length ? Math.min(...values) : 0;
  const most = values.length ? Math.max(...values) : 1;
  const margin = Math.max((Math.max(2, most * 0.1) - (most - least)) / 2, 0);
  const bottom = most <= 10 || least - margin < most / 2 ? 0 : least - margin;
  const rough = (most + margin - bottom) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max([1, 2, 5, 10].find((factor) => factor * power >= rough) * power, 1);
  return { low: Math.floor(bottom / step) * step, high: Math.ceil((most + margin) / step) * step, step };
}

/** The peak, if it was in sight, with its time to the second; else the most of what is in sight. */
function highest(band, lines, peak, from) {
  let top = { value: -1 };
  for (const { start, end, most } of band) if (most > top.value) top = { value: most, at: (start + end) / 2, start, end };
  for (const [seconds, value] of lines.flat()) if (value > top.value) top = { value, at: seconds };
  const isPeak = peak.at >= from && peak.value >= top.value;
  return isPeak ? { ...peak, word: 'Peak', ...drawnNear(peak, band, lines) } : { ...top, word: 'Most', drawnAt: top.at, drawn: top.value };
}

/** Where the drawing has the peak, whose time is of whole seconds, and how high it is there: `null` where nothing is drawn. */
function drawnNear({ at, value }, band, lines) {
  const minute = band.find(({ start, end }) => start <= at && at < end);
  if (minute) return { drawnAt: minute.most >= value ? (minute.start + minute.end) / 2 : at, drawn: minute.most };
  const exact = lines.flat().find((point) => point[1] >= value && Math.abs(point[0] - at) < PEAK_NEAR_S);
  if (exact) return { drawnAt: exact[0], drawn: exact[1] };
  const run = lines.find((line) => line[0][0] <= at && at <= line.at(-1)[0]);
  return { drawnAt: at, drawn: run?.findLast(([seconds]) => seconds <= at)[1] ?? null };
}

const labelOf = ({ value, at, word }) => `${word} ${brief(value)} · ${clock(at)}`;

function peakParts(top, x, y, plot) {
  const { value, drawnAt, drawn } = top;
  if (!(value > 0)) return [];
  const [left, high] = [x(drawnAt), y(value)];
  const isLeft = left < plot.left + 80;
  const anchor = isLeft ? 'start' : left > plot.right - 80 ? 'end' : 'middle';
  // One that the stream did not bring has nothing below it: a ring stands on a stem there.
  const stem = drawn >= value ? [] : [svg('line', { class: 'hair stem', x1: left, x2: left, y1: drawn === null ? plot.bottom : y(drawn), y2: high })];
  return [
    ...stem,
    svg('circle', { class: 'peak', cx: left, cy: high, r: 4 }),
    text(labelOf(top), left + (isLeft ? -4 : anchor === 'end' ? 4 : 0), high - 10, anchor, 'peak-label'),
  ];
}

function bandParts(minutes, next, x, y, bottom) {
  const middle = ({ start, end }) => x((start + end) / 2).toFixed(1);
  // A value stands at the middle of its minute; the first and the last one reach to the edges, so that one alone is a box.
  const path = (value, run, isBack) => {
    const at = (left, minute) => `${left},${y(minute[value]).toFixed(1)}`;
    const [first, last] = [run[0], run.at(-1)];
    const points = [at(x(first.start).toFixed(1), first), ...run.map((minute) => at(middle(minute), minute)), at(x(last.end).toFixed(1), last)];
    return (isBack ? points.reverse() : points).join('L');
  };
  // One path for each stretch between two losses.
  const runs = [];
  for (const [index, minute] of minutes.entries()) {
    if (minute.start === minutes[index - 1]?.end) runs.at(-1).push(minute);
    else runs.push([minute]);
  }
  return runs.flatMap((run) => {
    const leadsOn = next && run.at(-1).end >= next[0];
    const tail = leadsOn ? `L${x(next[0]).toFixed(1)},${y(next[1]).toFixed(1)}` : '';
    const average = `M${path('average', run)}${tail}`;
    return [
      svg('path', { class: 'area', d: `${average}V${bottom}H${x(run[0].start).toFixed(1)}Z` }),
      svg('path', { class: 'band', d: `M${path('most', run)}L${path('least', run, true)}Z` }),
      svg('path', { class: 'line', d: average }),
    ];
  });
}

function lineParts(lines, x, y, bottom) {
  return lines.flatMap((line) => {
    const path = line.map(([seconds, value], index) => {
      const [left, top] = [x(seconds).toFixed(1), y(value).toFixed(1)];
      return index ? `H${left}V${top}` : `M${left},${top}`;
    }).join('');
    return [
      svg('path', { class: 'area', d: `${path}V${bottom}H${x(line[0][0])}Z` }),
      svg('path', { class: 'line', d: path }),
    ];
  });
}

/** Arrivals above the middle, departures below. */
function barParts(minutes, x, middle) {
  const most = Math.max(1, ...minutes.map(({ joins, leaves }) => Math.max(joins, leaves)));
  const bars = (value, sign) => minutes.filter((minute) => minute[value] > 0).map((minute) => {
    const [left, wide] = [x(minute.start), x(minute.end) - x(minute.start)];
    const width = Math.max(wide - Math.min(wide * 0.25, 3), 1).toFixed(1);
    const high = Math.max(minute[value] / most * (BARS_PX / 2 - 1), 1).toFixed(1) * sign;
    return `M${left.toFixed(1)},${middle}h${width}v${-high}h-${width}z`;
  }).join('');
  return [
    svg('path', { class: 'joins', d: bars('joins', 1) }),
    svg('path', { class: 'leaves', d: bars('leaves', -1) }),
    text(`+${narrow(most)}`, MARGIN.left - 8, middle - BARS_PX / 2 + 10, 'end', 'scale'),
    text(`−${narrow(most)}`, MARGIN.left - 8, middle + BARS_PX / 2, 'end', 'scale'),
  ];
}

function grid(scale, y, { left, right }, hasLabels) {
  const parts = [];
  for (let value = scale.low; value <= scale.high; value += scale.step) {
    parts.push(svg('line', { class: 'grid', x1: left, x2: right, y1: y(value), y2: y(value) }));
    if (hasLabels) parts.push(text(narrow(value), left - 8, y(value) + 4, 'end'));
  }
  if (hasLabels) parts.push(text('members', 0, 10, 'start'));
  return parts;
}

function timeAxis(from, now, x, { left, right, height }) {
  const most = (right - left) / TIME_STEP_PX;
  const step = TIME_STEPS_S.find((seconds) => (now - from) / seconds <= most) ?? TIME_STEPS_S.at(-1);
  // Hours are those of the clock here.
  const offset = new Date().getTimezoneOffset() * 60;
  const parts = [text(zone(now), 0, height - 4, 'start', 'zone')];
  for (let seconds = Math.ceil((from - offset) / step) * step + offset; seconds <= now; seconds += step) {
    const middle = x(seconds);
    if (middle < Math.max(left + 14, ZONE_PX + 18) || middle > right - 14) continue;
    parts.push(text(hourAndMinute(seconds), middle, height - 4, 'middle'));
  }
  return parts;
}

function gradient() {
  return svg('linearGradient', { id: 'fade', x1: 0, y1: 0, x2: 0, y2: 1 },
    svg('stop', { offset: 0, 'stop-opacity': 0.2 }), svg('stop', { offset: 1, 'stop-opacity': 0 }));
}

function text(content, x, y, anchor, className = '') {
  return svg('text', { x, y, 'text-anchor': anchor, class: className }, content);
}
