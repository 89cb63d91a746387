// text.js: how names, numbers and times are written for people.
//
// Owns no state. Keeps: what comes from strangers stays text; nothing here makes HTML.

const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 });
const ROUGH = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const MINUTE = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const SECOND = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hourCycle: 'h23' });
const ZONE = new Intl.DateTimeFormat('en', { timeZoneName: 'shortOffset' });
const DAY = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' });

/**
 * Characters that stay encoded, since they act on other text or have no shape: control characters, direction marks, ignored
 * ones, and combining marks on nothing or in heaps. (Joiners and variants are decoded: emoji and some scripts consist of
 * them. No script puts five marks on one letter.)
 */
const UNREADABLE = /[\p{Cc}\p{Zl}\p{Zp}\u2800\ufff9-\ufffb]|(?![\u200c\u200d\ufe00-\ufe0f\u{e0020}-\u{e007f}])\p{Default_Ignorable_Code_Point}|^\p{M}+|\p{M}{5,}/gu;
const VISIBLE = /[^\p{Z}\p{Default_Ignorable_Code_Point}]/u;

/** A name with its percent-encoding undone where that can be read; as it was sent, if it is not rightly encoded. */
export function readable(name) {
  if (!name.includes('%')) return name;
  try {
    const text = decodeURIComponent(name);
    return VISIBLE.test(text) ? text.replace(UNREADABLE, encodeURIComponent) : name;
  } catch {
    return name;
  }
}

export function number(value) {
  return Number.isFinite(value) ? NUMBER.format(value) : '–';
}

/** A number and its noun. */
export function countOf(value, word) {
  return `${number(value)} ${word}${value === 1 ? '' : 's'}`;
}

/** Where there is little room. */
export function brief(value) {
  return value >= 1e6 ? COMPACT.format(value) : number(value);
}

/** Where there is room for six characters. */
export function narrow(value) {
  return value >= 1e4 ? ROUGH.format(value) : number(value);
}

/** Seconds, in the largest unit of which there is one. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const [unit, name] = seconds < 3600 ? [60, 'min'] : seconds < 172_800 ? [3600, 'h'] : [86_400, 'd'];
  const value = seconds / unit;
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${name}`;
}

/** The time of the day, of seconds since 1970; the day too, unless that is today. */
export function clock(seconds, format = MINUTE) {
  if (!seconds) return '–';
  const date = new Date(seconds * 1000);
  const time = format.format(date);
  return date.toDateString() === new Date().toDateString() ? time : `${DAY.format(date)}, ${time}`;
}

/** The same, where there is room for one of them. */
export function when(seconds) {
  return clock(seconds).replace(/,.*/, '');
}

/** The time zone of the clock here at that time, as in UTC+2. */
export function zone(seconds) {
  const parts = ZONE.formatToParts(seconds * 1000);
  return parts.find(({ type }) => type === 'timeZoneName').value.replace('GMT', 'UTC');
}

export const clockWithSeconds = (seconds) => clock(seconds, SECOND);
export const hourAndMinute = (seconds) => MINUTE.format(seconds * 1000);

/** The hash of a choice: `#*` is all events. */
export const hashOf = (name) => (name === null ? '#*' : `#/${encodeURIComponent(name)}`);

/** The namespace that a hash names, `null` for all events, `undefined` for neither. */
export function nameOf(hash) {
  if (hash === '#*') return null;
  if (!hash.startsWith('#/') || hash.length < 3) return undefined;
  try {
    return decodeURIComponent(hash.slice(2));
  } catch {
    return undefined;
  }
}
