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
 * Follows `url` for ever: calls `open`, `event(type, lines)` for each event, and `lost` each time that it ends, with what
 * was answered instead of a stream, if anything was.
 */
export async function follow(url, { open, event, lost }) {
  const pace = { retryMs: RETRY_MS };
  let failures = 0;
  for (;;) {
    let refusal;
    try {
      await read(url, pace, event, () => {
        failures = 0;
        open();
      });
    } catch (error) {
      failures += 1;
      refusal = error.cause;
    }
    lost(refusal);
    const waitMs = Math.min(pace.retryMs * 1.5 ** failures, Math.max(RETRY_MAX_MS, pace.retryMs));
    await new Promise((resolve) => { setTimeout(resolve, waitMs * (0.75 + Math.random() / 4)); });
  }
}

async function read(url, pace, event, open) {
  const ending = new AbortController();
  const end = () => ending.abort();
  let silence = setTimeout(end, SILENCE_MS);
  // A page that is kept for the way back must not keep its stream.
  addEventListener('pagehide', end);
  try {
    const response = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal: ending.signal, cache: 'no-store' });
    if (!response.ok) throw new Error('refused', { cause: await response.text() });
    open();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE_MS);
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) tell(block, pace, event);
    }
  } finally {
    clearTimeout(silence);
    removeEventListener('pagehide', end);
    end();
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
