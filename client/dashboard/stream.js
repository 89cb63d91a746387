// stream.js: follows the daemon's event stream, and comes back when it ends.
//
// Owns the connection. It is read by `fetch`, since an `EventSource` passes on only types of events that are known before,
// which `crossed <n>` is not, gives up at the first answer that is not 200, and cannot distinguish silence from death.
// Keeps: one connection at a time; after `open` all events come from the beginning.

/** Three times as long as the daemon is silent at most. */
const SILENCE_MS = 75_000;
const RETRY_MS = 2_000;
const RETRY_MAX_MS = 15_000;

/**
 * Only a page or a machine that has slept runs nothing for this long. (A hidden page runs once a minute.) The events of that
 * time would arrive now as if they were new, or the other end is long gone: so the stream begins anew.
 */
const ASLEEP_MS = 10_000;
const ASLEEP_HIDDEN_MS = 90_000;
const LOOK_MS = 1_000;

/**
 * Follows `url` for ever: calls `open`, `event(type, lines)` for each event, and `lost` each time that it ends, with the
 * answer that came instead of a stream, if any, and the time up to which the counts are known to have been true.
 */
export async function follow(url, { open, event, lost }) {
  const pace = { retryMs: RETRY_MS };
  let failures = 0;
  for (;;) {
    const liveness = new Liveness();
    let refusal;
    try {
      await read(url, pace, liveness, event, () => {
        failures = 0;
        open();
      });
    } catch (error) {
      if (!liveness.hasSlept) failures += 1;
      refusal = error.cause;
    }
    liveness.end();
    lost(refusal, (liveness.until ?? Date.now()) / 1000);
    if (liveness.hasSlept) continue;
    const waitMs = Math.min(pace.retryMs * 1.5 ** failures, Math.max(RETRY_MAX_MS, pace.retryMs));
    await new Promise((resolve) => { setTimeout(resolve, waitMs * (0.75 + Math.random() / 4)); });
  }
}

/** The time since the last bytes arrived, and whether the page was awake. Keeps: its maker ends it. */
class Liveness {
  hasSlept = false;
  /** The time up to which the counts were true, if that is not when it ended. */
  until;
  #ending = new AbortController();
  #receivedAt = Date.now();
  #awakeAt = Date.now();
  #wasHidden = document.hidden;
  #looks = setInterval(() => this.isOver(), LOOK_MS);
  // A page that is kept for the way back must not keep its stream.
  #leave = () => this.end();

  constructor() {
    addEventListener('pagehide', this.#leave);
  }

  get signal() {
    return this.#ending.signal;
  }

  /** Bytes have arrived; returns whether they are of use. */
  receive() {
    if (this.isOver()) return false;
    this.#receivedAt = Date.now();
    return true;
  }

  isOver() {
    const now = Date.now();
    if (this.signal.aborted) return true;
    if (now - this.#awakeAt > (this.#wasHidden ? ASLEEP_HIDDEN_MS : ASLEEP_MS)) {
      this.hasSlept = true;
      this.until = this.#awakeAt;
    } else if (now - this.#receivedAt > SILENCE_MS) {
      this.until = this.#receivedAt;
    }
    [this.#awakeAt, this.#wasHidden] = [now, document.hidden];
    if (this.until !== undefined) this.end();
    return this.signal.aborted;
  }

  end() {
    clearInterval(this.#looks);
    removeEventListener('pagehide', this.#leave);
    this.#ending.abort();
  }
}

async function read(url, pace, liveness, event, open) {
  const { signal } = liveness;
  const response = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal, cache: 'no-store' });
  if (!response.ok) throw new Error('refused', { cause: await response.text() });
  open();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done || !liveness.receive()) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) dispatch(block, pace, event);
  }
}

/** One block of the stream, by section 9.2.6 of the HTML standard as far as the daemon makes use of it. */
function dispatch(block, pace, event) {
  let type = 'message';
  const lines = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('data: ')) lines.push(line.slice(6));
    else if (line.startsWith('event: ')) type = line.slice(7);
    else if (line.startsWith('retry: ')) pace.retryMs = Number(line.slice(7)) || RETRY_MS;
  }
  if (lines.length) event(type, lines);
}
