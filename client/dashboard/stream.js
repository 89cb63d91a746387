// stream.js: follows the daemon's event stream, and comes back when it ends.
//
// Owns the connection. It is read by `fetch`, since an `EventSource` hears only types of events that are known before,
// which `crossed <n>` is not, gives up at the first answer that is not 200, and cannot tell silence from death.
// Keeps: one connection at a time; what is told after `open` is told from the beginning.

/** Three times as long as the daemon is silent at most. */
const SILENCE_MS = 75_000;
const RETRY_MS = 2_000;
const RETRY_MAX_MS = 15_000;

/**
 * For so long nothing runs here only if the page, or the machine, has slept. (A page that is hidden runs once a minute.) What was
 * said meanwhile would be heard now as if it were new, or the other end is long gone: the stream is begun anew.
 */
const ASLEEP_MS = 10_000;
const ASLEEP_HIDDEN_MS = 90_000;
const LOOK_MS = 1_000;

/**
 * Follows `url` for ever: calls `open`, `event(type, lines)` for each event, and `lost` each time that it ends, with what
 * was answered instead of a stream, if anything was, and the time up to which what was told is known to have been true.
 */
export async function follow(url, { open, event, lost }) {
  const pace = { retryMs: RETRY_MS };
  let failures = 0;
  for (;;) {
    const hearing = new Hearing();
    let refusal;
    try {
      await read(url, pace, hearing, event, () => {
        failures = 0;
        open();
      });
    } catch (error) {
      if (!hearing.hasSlept) failures += 1;
      refusal = error.cause;
    }
    hearing.end();
    lost(refusal, (hearing.until ?? Date.now()) / 1000);
    if (hearing.hasSlept) continue;
    const waitMs = Math.min(pace.retryMs * 1.5 ** failures, Math.max(RETRY_MAX_MS, pace.retryMs));
    await new Promise((resolve) => { setTimeout(resolve, waitMs * (0.75 + Math.random() / 4)); });
  }
}

/** How long ago something was heard, and whether somebody was awake to hear it. Keeps: it is ended by whoever made it. */
class Hearing {
  hasSlept = false;
  /** Up to when what was told was true, if that is not when it ended. */
  until;
  #ending = new AbortController();
  #heardAt = Date.now();
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

  /** Something was heard now; returns whether it is of use. */
  hear() {
    if (this.isOver()) return false;
    this.#heardAt = Date.now();
    return true;
  }

  isOver() {
    const now = Date.now();
    if (this.signal.aborted) return true;
    if (now - this.#awakeAt > (this.#wasHidden ? ASLEEP_HIDDEN_MS : ASLEEP_MS)) {
      this.hasSlept = true;
      this.until = this.#awakeAt;
    } else if (now - this.#heardAt > SILENCE_MS) {
      this.until = this.#heardAt;
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

async function read(url, pace, hearing, event, open) {
  const { signal } = hearing;
  const response = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal, cache: 'no-store' });
  if (!response.ok) throw new Error('refused', { cause: await response.text() });
  open();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done || !hearing.hear()) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) tell(block, pace, event);
  }
}

/** One block of the stream, by section 9.2.6 of the HTML standard as far as the daemon makes use of it. */
function tell(block, pace, event) {
  let type = 'message';
  const lines = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('data: ')) lines.push(line.slice(6));
    else if (line.startsWith('event: ')) type = line.slice(7);
    else if (line.startsWith('retry: ')) pace.retryMs = Number(line.slice(7)) || RETRY_MS;
  }
  if (lines.length) event(type, lines);
}
