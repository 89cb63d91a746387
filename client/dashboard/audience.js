// audience.js: what is known of the audience: each namespace, the total, and what they sum up to.
//
// Owns the figures, and takes them from the stream and from the JSON pages. Does not know: how they are shown. Members are
// those of the stream alone, everything else is from the pages, which say it less often. Keeps: bounded by what the daemon
// knows; what is empty is forgotten a while after the daemon may have.

import { readable } from './text.js';
import { Recorder, Trace } from './series.js';

/** How long an empty namespace is shown, unless a page says that it is still known. */
const EMPTY_S = 300;

/** The name on the stream of all namespaces together. */
const ALL = '*';

/** The name of a namespace on the stream, where only a sum ends in a star. */
const streamName = (name) => name.replace(/\*$/, '%2A');

const NO_FIGURES = { created: 0, connections: NaN, people: NaN, peopleError: 0, uncounted: 0, peak: NaN, peakAt: 0, memberSeconds: 0, average: NaN, watch: NaN };

export class Namespace {
  /** Its name on the pages. */
  sent;
  members = 0;
  emptySince;
  trace = new Trace();
  /** Of the last minutes: pairs of time and average; `false` where there is none, `null` before they were asked for. */
  past = null;
  /** When a page was asked for it. */
  askedAt = -Infinity;

  constructor(name, seconds) {
    Object.assign(this, { name, sent: name, shown: readable(name), emptySince: seconds }, NO_FIGURES);
    /** The text by which it is searched and sorted. */
    this.key = this.shown.toLowerCase();
  }

  learn(figures, seconds) {
    this.askedAt = this.emptySince = seconds;
    this.created = figures.created;
    this.connections = figures.connections;
    // An older daemon, or a small event among many, has none.
    this.people = figures.distinct ?? NaN;
    this.peopleError = figures.distinct_error ?? 0;
    this.uncounted = figures.uncounted;
    // The stream may have brought a later peak.
    if (!(figures.peak < this.peak)) [this.peak, this.peakAt] = [figures.peak, figures.peak_at];
    this.memberSeconds = figures.member_seconds;
    this.average = figures.average;
    this.watch = figures.average_watch;
  }
}

export class Audience {
  namespaces = new Map();
  /** The total of all namespaces, live. */
  recorder = new Recorder();
  /** The largest total while this page was open, and since when. */
  most = { peak: NaN, peakAt: 0 };
  total = null;
  sums = { occupied: 0, connections: 0, uncounted: 0, memberSeconds: 0, largest: null };
  stays = new Array(16).fill(0);
  /** Whether what is known is of before the stream began. */
  isStale = true;
  #occupied = 0;

  /** The stream begins anew: the old figures are forgotten when its first counts arrive. */
  open() {
    this.isStale = true;
  }

  /** The connection is lost: what is shown stays, but nothing is known from here on. */
  lose(seconds) {
    this.isStale = true;
    this.recorder.note(seconds, null);
  }

  /** Applies all counts that have arrived since the last time, by name. Returns whether it began anew. */
  update(counts, seconds) {
    const began = this.isStale && counts.size > 0;
    if (began) {
      this.isStale = false;
      this.namespaces.clear();
    }
    for (const [name, members] of counts) {
      if (name === ALL) {
        this.total = members;
        if (!(members <= this.most.peak)) this.most = { peak: members, peakAt: seconds };
        continue;
      }
      const namespace = this.#at(name, seconds);
      namespace.members = members;
      if (!members) namespace.emptySince = seconds;
      if (members > namespace.peak) [namespace.peak, namespace.peakAt] = [members, Math.floor(seconds)];
      namespace.trace.note(seconds, members, this.#occupied);
    }
    if (!this.isStale) this.recorder.note(seconds, this.total);
    return began;
  }

  /** Takes in the page of all namespaces, and forgets the namespaces that are not on it. */
  learnAll(all, seconds) {
    this.stays.fill(0);
    const known = new Set();
    for (const [sent, figures] of Object.entries(all)) {
      const name = streamName(sent);
      known.add(name);
      const namespace = this.#at(name, seconds);
      namespace.sent = sent;
      namespace.learn(figures, seconds);
      for (let bucket = 0; bucket < 16; bucket += 1) this.stays[bucket] += figures.stays?.[bucket] ?? 0;
    }
    if (this.namespaces.size === known.size) return;
    for (const [name, { members }] of this.namespaces) {
      if (!members && !known.has(name)) this.namespaces.delete(name);
    }
  }

  /** Takes in the page of one. */
  learn(name, figures, seconds) {
    if (figures) this.#at(name, seconds).learn(figures, seconds);
    else if (this.namespaces.get(name)?.members === 0) this.namespaces.delete(name);
  }

  /** Adds up, and forgets namespaces that have been empty for long. */
  sum(seconds) {
    const sums = { occupied: 0, connections: 0, uncounted: 0, memberSeconds: 0, largest: null };
    for (const namespace of this.namespaces.values()) {
      const { name, members, emptySince, connections, uncounted, memberSeconds, peak } = namespace;
      if (members) {
        sums.occupied += 1;
      } else if (emptySince < seconds - EMPTY_S) {
        this.namespaces.delete(name);
        continue;
      }
      sums.connections += connections || 0;
      sums.uncounted += uncounted;
      sums.memberSeconds += memberSeconds;
      if (peak > (sums.largest?.peak ?? 0)) sums.largest = namespace;
    }
    this.#occupied = sums.occupied;
    this.sums = sums;
  }

  #at(name, seconds) {
    let namespace = this.namespaces.get(name);
    if (!namespace) this.namespaces.set(name, namespace = new Namespace(name, seconds));
    return namespace;
  }
}
