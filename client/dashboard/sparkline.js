// sparkline.js: the small chart of a row. Owns no state.

import { TRACE_S } from './series.js';

const WIDTH = 96;
const HEIGHT = 24;

/** Draws what is known of a time into a path: averages of minutes first, then the live values. */
export function sparkline(path, { past, trace: { points } }, spanS = TRACE_S) {
  const now = Date.now() / 1000;
  const pairs = [...(past || []), ...points];
  const x = (seconds) => Math.max((seconds - now) / spanS + 1, 0) * (WIDTH - 3) + 1;
  const known = [];
  for (let place = 0; place < pairs.length; place += 2) {
    // A page that came later may have minutes that are here live.
    if (place < (past || []).length && pairs[place] >= points[0]) continue;
    if (pairs[place + 2] <= now - spanS) continue;
    known.push([x(pairs[place]), pairs[place + 1]]);
  }
  if (!known.length) return path.setAttribute('d', '');
  const values = known.map(([, value]) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  // One more or less is no mountain.
  const margin = Math.max((Math.max(2, most * 0.1) - (most - least)) / 2, 0);
  const low = Math.max(least - margin, 0);
  const y = (value) => (HEIGHT - 3 - (value - low) / (most + margin - low) * (HEIGHT - 6)).toFixed(1);
  const line = known.map(([left, value]) => `${left.toFixed(1)},${y(value)}`).join('L');
  path.setAttribute('d', `M${line}H${WIDTH - 2}`);
}
