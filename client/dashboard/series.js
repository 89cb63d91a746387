// series.js: a total over time, as the stream brought it.
//
// Owns two kinds of memory: a `Trace`, short and coarse, of any namespace, and a `Recorder`, long and fine, of the few that
// a large chart may show. Times are seconds since 1970. Keeps: both are bounded, however long they are fed.

/** How far back the small charts reach, and how fine they are. */
export const TRACE_S = 900;
const SLOT_S = 15;

/** Points of all traces together, as long as each may have a few. */
const POINTS_MAX = 200_000;
const POINTS_LEAST = 4;

/** How far back a recorder knows each value, and each minute. */
export const FINE_S = 900;
const ROWS_MAX = 24 * 60;

/** Changes of the last minutes: time and value in turn, one pair for each slot in which there was a change. */
export class Trace {
  points = [];

  /** `traces` is how many there are. */
  note(seconds, value, traces) {
    const { points } = this;
    const slot = Math.floor(seconds / SLOT_S) * SLOT_S;
    if (points.at(-2) === slot) {
      points[points.length - 1] = value;
      return;
    }
    if (points.at(-1) === value) return;
    points.push(slot, value);
    const most = 2 * Math.min(TRACE_S / SLOT_S + 1, Math.max(POINTS_LEAST, Math.floor(POINTS_MAX / traces)));
    // The one before the left edge is what it was at the edge.
    while (points.length > most || points[2] <= slot - TRACE_S) points.splice(0, 2);
  }
}

/** Each value of the last minutes, and the least, average and most of each whole minute before that. */
export class Recorder {
  /** Pairs of time and value, which is `null` while nothing is known. */
  points = [];
  /** As in a history: time, least, average, most; arrivals and departures are unknown here. */
  rows = [];
  #open = null;

  /** The value is this from now on; or it is not known since a time, which may be past: then what was noted since is not either. */
  note(seconds, value) {
    this.#close(seconds);
    if (value === null) {
      while (this.points.at(-1)?.[0] > seconds) this.points.pop();
      while (this.rows.at(-1)?.[0] + 60 > seconds) this.rows.pop();
    }
    if (this.value !== value) this.points.push([seconds, value]);
    while (this.points[1]?.[0] <= seconds - FINE_S) this.points.shift();
    if (value === null) {
      this.#open = null;
      return;
    }
    this.#open ??= { minute: minuteOf(seconds), since: seconds, at: seconds, value, least: value, most: value, area: 0 };
    const open = this.#open;
    open.area += open.value * (seconds - open.at);
    Object.assign(open, { at: seconds, value, least: Math.min(open.least, value), most: Math.max(open.most, value) });
  }

  get value() {
    return this.points.at(-1)?.[1] ?? null;
  }

  /** Makes rows of the minutes that are over. */
  #close(seconds) {
    while (this.#open && this.#open.minute + 60 <= seconds) {
      const { minute, since, at, value, least, most, area } = this.#open;
      const end = minute + 60;
      if (since === minute) this.rows.push([minute, least, (area + value * (end - at)) / 60, most, null, null]);
      if (this.rows.length > ROWS_MAX) this.rows.shift();
      // A page that slept for longer than a day begins anew.
      const next = seconds - end > 60 * ROWS_MAX ? minuteOf(seconds) : end;
      this.#open = { minute: next, since: next, at: next, value, least: value, most: value, area: 0 };
    }
  }
}

const minuteOf = (seconds) => Math.floor(seconds / 60) * 60;
